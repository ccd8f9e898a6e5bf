"""Giving everything back to the person in a form that other programs read."""
