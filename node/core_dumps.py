"""Sees to it that a crash of this process writes no picture of its memory to the disk: keys would be in it."""

import resource


def forbid_core_dumps() -> None:
    """Allow this process and those that it starts core dumps of no size; there is no way back. Source: setrlimit(2)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
