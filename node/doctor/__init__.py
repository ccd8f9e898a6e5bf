"""Examines a device and says in plain words what is wrong and what mends it."""
