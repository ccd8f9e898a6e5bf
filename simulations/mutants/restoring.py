"""Planted bugs in how a store that was set back to a backup is told from the one that went on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from node.store.incarnation_guard import IncarnationGuard
from node.store.incarnation_mark import Mark, MarkFile
from simulations.mutants.registry import Mutant, focused, replaced

_RESTORES = focused(restore=0.4, unnoticed=0.0, devices=3, steps=60, statements_max=3)
_CHECKS = ("incarnation", "fork")


def _same(self: IncarnationGuard, present: bytes, earlier: object) -> None:
    return None


def _silent(self: IncarnationGuard, heads: object) -> None:
    return None


@contextmanager
def _file_not_compared() -> Iterator[None]:
    original = MarkFile.read

    def read(self: MarkFile) -> Mark | None:
        mark = original(self)
        return mark and replace(mark, file=bytes(len(mark.file)))

    with replaced(MarkFile, "read", read), replaced(MarkFile, "hide", lambda self, _: (bytes(32), bytes(32))):
        yield


RESTORING = (
    Mutant(
        name="mark-not-judged",
        says="whatever the mark says, the store goes on under its incarnation",
        checks=_CHECKS,
        plant=lambda: replaced(IncarnationGuard, "_judge", _same),
        focus=_RESTORES,
    ),
    Mutant(
        name="mark-never-moves",
        says="the mark keeps saying what it said when the store was opened",
        checks=_CHECKS,
        plant=lambda: replaced(IncarnationGuard, "committed", _silent),
        focus=_RESTORES,
    ),
    Mutant(
        name="mark-knows-no-file",
        says="a copy with its own mark is taken for the original",
        checks=_CHECKS,
        plant=_file_not_compared,
        focus=_RESTORES,
    ),
)
