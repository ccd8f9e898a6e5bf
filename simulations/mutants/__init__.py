"""Bugs planted on purpose: a simulation is worth what it kills."""
