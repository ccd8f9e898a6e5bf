"""What a scrub finds: which row, batch, digest or full-text entry is not what it must be, and how much it saw."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

#: A store that is damaged all over is told in numbers; so many places are named.
NAMED_PLACES_MAX = 1_000


class Kind(Enum):
    """What is wrong at one place."""

    ROW_CHANGED = "the row is not what its hash says"
    ROW_LOST = "the row is gone although its row state lives"
    ROW_RISEN = "the row stands although it was deleted"
    ROW_STATE_LOST = "the row has no row state"
    ROW_UNREADABLE = "the row cannot be read"
    TABLE_UNREADABLE = "the table cannot be read to its end"
    DIGEST_WRONG = "the digest is not the sum of the row hashes"
    COUNT_WRONG = "the number of rows is not the one kept"
    BATCH_CHANGED = "the batch is not what its author signed"
    BATCH_MISSING = "batches are missing in between"
    BATCH_UNREADABLE = "the batch cannot be read"
    LOG_UNREADABLE = "the change log cannot be read to its end"
    FRONTIER_WRONG = "the frontier names another batch than the last one held"
    WORDS_MISSING = "the row is not in the full-text index"
    WORDS_SURPLUS = "the full-text index holds a row that does not stand"
    WORDS_WRONG = "the full-text index holds other words than the row"
    INDEX_UNREADABLE = "the full-text index cannot be read"


#: What is wrong with rows that have to be rebuilt, or taken out for another device's copy to come in their place.
TAKEN_OUT = frozenset({Kind.ROW_CHANGED, Kind.ROW_LOST, Kind.ROW_RISEN, Kind.ROW_UNREADABLE, Kind.ROW_STATE_LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One place that is damaged: a table or stream, and in it a row or a batch where there is one to name."""

    kind: Kind
    where: str
    key: bytes = b""


@dataclass(slots=True, kw_only=True)
class ScrubReport:
    """What was looked at, what is damaged, and which comparisons writes kept from being made."""

    rows: int = 0
    batches: int = 0
    entries: int = 0
    damage: list[Damage] = field(default_factory=list)
    count_by_kind: Counter[Kind] = field(default_factory=Counter)
    not_compared: list[str] = field(default_factory=list)

    def note(self, kind: Kind, where: str, key: bytes = b"") -> None:
        """Take note of one damaged place."""
        self.count_by_kind[kind] += 1
        if len(self.damage) < NAMED_PLACES_MAX:
            self.damage.append(Damage(kind=kind, where=where, key=key))

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.count_by_kind
