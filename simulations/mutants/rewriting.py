"""Planted bugs in how a device finds out that it went back, and writes its own end of a chain again."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from crdt.identifiers import Dot
from node.store import rewriting
from node.store.re_authoring import Renaming
from node.store.rewriting import Rewriting
from node.store.store import Store
from simulations.mutants.registry import STATE_CHECKS, Mutant, focused, replaced

_FORKS = focused(
    tables=("drill_settings",), restore=0.1, unnoticed=1.0, devices=3, steps=80, late_devices=0, loss=0.0, kill=0.0
)
_CHECKS = (*STATE_CHECKS, "fork", "refusal", "frontier", "forgetting", "crash")


@contextmanager
def _removals_keep_names() -> Iterator[None]:
    def dot(self: Renaming, name: Dot) -> Dot:
        return original(replace(self, earlier={}), name)

    original = Renaming.dot
    with replaced(Renaming, "dot", dot):
        yield


def _dots_keep_names() -> AbstractContextManager[None]:
    return replaced(Renaming, "dot", lambda self, dot: dot)


REWRITING: tuple[Mutant, ...] = (
    Mutant(
        name="lost-batches-change-nothing",
        says="a device receives batches of its own that it does not know, and goes on under the same incarnation",
        checks=("incarnation", "fork"),
        plant=lambda: replaced(Store, "_mint_if_met", lambda self, pending, origins: None),
        focus=_FORKS,
    ),
    Mutant(
        name="counters-counted-twice",
        says="what a batch counted stays under its old name when it is written again",
        checks=_CHECKS,
        plant=lambda: replaced(Rewriting, "_steps", lambda self, words, batch: {}),
        focus=_FORKS,
    ),
    Mutant(
        name="elements-keep-their-names",
        says="elements of sets keep the names that another batch's elements bear",
        checks=_CHECKS,
        plant=_dots_keep_names,
        focus=_FORKS,
    ),
    Mutant(
        name="removals-keep-their-names",
        says="a batch written again removes elements of earlier ones by the names that they had",
        checks=_CHECKS,
        plant=_removals_keep_names,
        focus=_FORKS,
    ),
    Mutant(
        name="rows-keep-their-versions",
        says="batches are written again, and the rows here keep the versions that they had",
        checks=_CHECKS,
        plant=lambda: replaced(rewriting, "renamed_row", lambda table, row_id, row, renaming: row),
        focus=_FORKS,
    ),
)
