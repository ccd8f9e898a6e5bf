"""The incarnations of one store: under which it writes now, when each was minted, and why."""

from dataclasses import dataclass
from enum import Enum

from crdt.identifiers import INCARNATION_BYTES, Incarnation
from node.clock import Clock
from node.entropy import Entropy
from node.store.database import Database


class Cause(Enum):
    """Why an incarnation was minted; the value is what the store keeps."""

    CREATED = "created"
    WENT_BACK = "went back"
    MARK_LOST = "mark lost"
    OTHER_MACHINE = "other machine"
    COPIED = "copied"
    FORKED = "forked"
    CLOCK_CORRECTED = "clock corrected"


#: What a person is told of each cause; nothing has to be done in any of them.
SENTENCE_BY_CAUSE = {
    Cause.WENT_BACK: "This store is older than what this device had written: an earlier copy of it was put back.",
    Cause.MARK_LOST: "The file that says how far this device had written was missing: the store was restored or moved.",
    Cause.OTHER_MACHINE: "This store was written on another machine before: it was moved or cloned.",
    Cause.COPIED: "This store is a copy of the file that was written before: it was restored or cloned.",
    Cause.FORKED: "Another device held changes of this one that were unknown here: the store went back or was cloned.",
    Cause.CLOCK_CORRECTED: "Changes written while this device's clock was far ahead were written again.",
}
CONSEQUENCE = "It goes on under a new name for its changes, and nothing is lost of what any device holds."


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """An incarnation, when it was minted (ms since 1970) and why."""

    incarnation: Incarnation
    at_milliseconds: int
    cause: Cause

    @property
    def sentence(self) -> str | None:
        """What a person is told of it, None where there is nothing to tell."""
        told = SENTENCE_BY_CAUSE.get(self.cause)
        return f"{told} {CONSEQUENCE}" if told else None


def mint(database: Database, entropy: Entropy, clock: Clock, cause: Cause) -> Incarnation:
    """Draw an incarnation and make it the one to write under, within the open transaction."""
    incarnation = Incarnation(entropy.take(INCARNATION_BYTES))
    database.change(
        "INSERT INTO _meta VALUES ('incarnation', ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
        (incarnation,),
    )
    database.change(
        "INSERT INTO _incarnation (incarnation, at_milliseconds, cause) VALUES (?, ?, ?)",
        (incarnation, str(clock.now_milliseconds()), cause.value),
    )
    return incarnation


def last_minted(database: Database) -> Minted:
    """Return the latest incarnation."""
    rows = database.query("SELECT incarnation, at_milliseconds, cause FROM _incarnation ORDER BY number DESC LIMIT 1")
    incarnation, at_milliseconds, cause = rows[0]
    return Minted(incarnation=Incarnation(incarnation), at_milliseconds=int(at_milliseconds), cause=Cause(cause))


def earlier_incarnations(database: Database) -> frozenset[Incarnation]:
    """Return the incarnations under which this store wrote before the present one."""
    rows = database.query("SELECT incarnation FROM _incarnation WHERE number < (SELECT max(number) FROM _incarnation)")
    return frozenset(Incarnation(row[0]) for row in rows)
