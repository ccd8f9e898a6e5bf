"""Seeded randomness, virtual time and the trace: what makes a run repeat from its seed."""
