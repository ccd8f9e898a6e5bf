"""Makes sure that a recovery code was written down: two groups of it, chosen at random, are typed again."""

from collections.abc import Callable
from secrets import SystemRandom

_GROUPS_ASKED = 2
_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1"})


def confirm_recovery_code(
    code: str, *, ask: Callable[[str], str], tell: Callable[[str], None], choose: Callable[[int], list[int]]
) -> None:
    """Ask for two groups until they are right. `choose` picks them among so many; raises EOFError if nobody answers."""
    groups = code.split("-")
    for index in choose(len(groups)):
        while _read(ask(f"Group {index + 1} of your recovery code: ")) != groups[index]:
            tell("That is not what stands there; please look at the code as you wrote it down.")
    tell("It is written down right.")


def two_groups(groups: int) -> list[int]:
    """Return two of so many groups, in order."""
    return sorted(SystemRandom().sample(range(groups), _GROUPS_ASKED))


def _read(typed: str) -> str:
    return "".join(typed.upper().split()).translate(_ALIKE)
