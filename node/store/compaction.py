"""Drops from the change log what every device holds: batches below the stable frontier, never a row or a tombstone."""

from collections.abc import Mapping

from crdt.identifiers import Origin
from node.store.change_log import ChangeLog
from node.store.database import Database
from node.store.origins import Origins
from sync.frontier import PREFIX_BYTES, Frontier, FrontierEntry
from sync.streams import Stream


def compact(
    database: Database, origins: Origins, log: ChangeLog, stable: Mapping[Stream, Frontier], batches_max: int
) -> int:
    """Drop at most `batches_max` batches that `stable` covers, within the open transaction; return how many.

    The log's base rises with them. The last batch of each origin stays: the next one follows it by hash, and it is
    what a fork of that origin is recognised by. A chain of which two versions exist is kept whole until it is over: the
    others hold numbers of it, and not these batches.
    """
    dropped = 0
    forked = set(database.query("SELECT stream, origin FROM _fork"))
    for stream, frontier in sorted(stable.items()):
        held, base = log.view().stream(stream).frontier, log.base(stream)
        for origin, entry in sorted(frontier.entries.items()):
            last = min(entry.seq, held.entry(origin).seq - 1)
            if last <= base.entry(origin).seq or dropped >= batches_max:
                continue
            if (int(stream), origins.number(origin)) in forked or not _is_ours(log, stream, origin, entry):
                continue
            where = (int(stream), origins.number(origin), last)
            rows = database.query(
                "SELECT seq, hash FROM _batch WHERE stream = ? AND origin = ? AND seq <= ? ORDER BY seq LIMIT ?",
                (*where, batches_max - dropped),
            )
            if not rows:
                continue
            reached, batch_hash = rows[-1]
            database.change("DELETE FROM _batch WHERE stream = ? AND origin = ? AND seq <= ?", (*where[:2], reached))
            log.raise_base(stream, Frontier({origin: FrontierEntry(reached, batch_hash[:PREFIX_BYTES])}))
            dropped += len(rows)
    return dropped


def _is_ours(log: ChangeLog, stream: Stream, origin: Origin, entry: FrontierEntry) -> bool:
    """Tell whether what others are said to hold is the very batch of that number here."""
    held = log.hash_of(stream, origin, entry.seq)
    return held is None or held[:PREFIX_BYTES] == entry.prefix
