"""Planted bugs in what is left of rows that were forgotten."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from node.store import forgetting
from node.store.forgetting import Forgetting
from node.store.history import History
from simulations.mutants.registry import STATE_CHECKS, Mutant, focused, replaced
from sync.batch import forget_changes

_ITEMS = focused(tables=("drill_items",), devices=3, steps=60, snapshot=0.0, late_devices=0)


def _rewriting(change: Mapping[str, int]) -> AbstractContextManager[None]:
    def rewritten(raw: bytes, generation_by_row: Mapping[bytes, int]) -> bytes:
        later = {row_id: generation + change["later"] for row_id, generation in generation_by_row.items()}
        return forget_changes(raw, later)

    return replaced(forgetting, "forget_changes", rewritten)


FORGETTING = (
    Mutant(
        name="words-stay-in-the-log",
        says="the change log keeps what a forgotten row said",
        checks=("forgetting",),
        plant=lambda: _rewriting({"later": -2}),
        focus=_ITEMS,
    ),
    Mutant(
        name="late-words-stay-in-the-log",
        says="an edit that arrives after its row was forgotten is kept in the change log",
        checks=("forgetting",),
        plant=lambda: replaced(Forgetting, "_meet_late", lambda self, table, late: None),
        focus=_ITEMS,
    ),
    Mutant(
        name="edits-stay-in-the-log",
        says="only the insert of a forgotten row is taken out of the log, not its later edits",
        checks=("forgetting",),
        plant=lambda: replaced(History, "note", lambda self, table, stamp, steps: None),
        focus=_ITEMS,
    ),
    Mutant(
        name="history-outlives-its-row",
        says="forgetting a row leaves its history",
        checks=("forgetting",),
        plant=lambda: replaced(History, "purge", lambda self, row_ids, generation: None),
        focus=_ITEMS,
    ),
    Mutant(
        name="queue-lost-on-the-way",
        says="what is still to be rewritten is dropped after the first piece of work",
        checks=("forgetting", *STATE_CHECKS),
        plant=lambda: replaced(Forgetting, "_rewrite", lambda self, stream, origin, seq, position: None),
        focus=_ITEMS,
    ),
)
