"""What merges: clocks, version vectors, one strategy a file, rows. Pure functions and frozen values."""
