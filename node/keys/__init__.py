"""A device's keys at rest: the key file with its slots, and the wrapped owner key."""
