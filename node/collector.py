"""Sets how often the garbage collector of a node's process looks for cycles.

A batch of a thousand rows makes tens of thousands of short-lived tuples and no cycle; looking through them after
every 700 costs 3 to 5 % of a bulk write. What the program loaded at its start stays for its life, unlooked at.
"""

import gc

_YOUNG_OBJECTS = 50_000
_YOUNG_PASSES = 20
_MIDDLE_PASSES = 50


def settle_collector() -> None:
    """Call once, when the process has loaded what it runs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_PASSES, _MIDDLE_PASSES)
