"""The reference model: a second, naive implementation of the documented merge rules, in plain Python."""
