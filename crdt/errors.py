"""The one exception of the merging layer."""


class MergeError(ValueError):
    """A value cannot be merged: its length, type or shape is not what its strategy defines."""
