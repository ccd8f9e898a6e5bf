"""Every arriving batch gets exactly one verdict."""

import msgspec
import pytest

from crdt.identifiers import Origin, make_origin
from sync.batch import NO_PREVIOUS, BatchHeader
from sync.frontier import Frontier, FrontierEntry
from sync.identifiers import BatchHash
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX
from sync.replica import Verdict, admit
from sync.streams import Stream

NOW = 1_795_000_000_000
AUTHOR: Origin = make_origin(b"a" * 32, b"i" * 8)
OTHER: Origin = make_origin(b"b" * 32, b"i" * 8)
HELD = BatchHash(b"held hash" + bytes(23))
NEW = BatchHash(b"new hash!" + bytes(23))
FRONTIER = Frontier({AUTHOR: FrontierEntry(4, HELD[:8]), OTHER: FrontierEntry(2, b"others!!")})


def header(seq: int, **changes: object) -> BatchHeader:
    plain = BatchHeader(
        origin=AUTHOR,
        stream=Stream.MEMORIES,
        seq=seq,
        prev=HELD,
        deps=((AUTHOR, seq - 1), (OTHER, 2)),
        hlc=NOW << 16,
        schemas=(),
        group=b"",
        layouts=(),
        count=1,
        body_bytes=1,
        stands_for=(),
    )
    return msgspec.structs.replace(plain, **changes)


FAR = (NOW + CLOCK_AHEAD_MILLISECONDS_MAX + 1) << 16
JUST = ((NOW + CLOCK_AHEAD_MILLISECONDS_MAX) << 16) | 0xFFFF


@pytest.mark.parametrize(
    ("candidate", "batch_hash", "verdict"),
    [
        (header(5), NEW, Verdict.APPLY),
        (header(5, hlc=JUST), NEW, Verdict.APPLY),
        (header(4), HELD, Verdict.DUPLICATE),
        (header(1, prev=NO_PREVIOUS), NEW, Verdict.DUPLICATE),
        (header(4), NEW, Verdict.FORK),
        (header(5, prev=NEW), NEW, Verdict.FORK),
        (header(6), NEW, Verdict.HOLD),
        (header(5, deps=((AUTHOR, 4), (OTHER, 3))), NEW, Verdict.HOLD),
        (header(5, hlc=FAR), NEW, Verdict.HOLD),
        (header(5, prev=NEW, hlc=FAR), NEW, Verdict.FORK),
        (header(4, hlc=FAR), HELD, Verdict.DUPLICATE),
    ],
)
def test_a_batch_is_admitted_by_the_rules(candidate: BatchHeader, batch_hash: BatchHash, verdict: Verdict) -> None:
    admission = admit(candidate, batch_hash, FRONTIER, NOW)
    assert admission.verdict is verdict
    assert bool(admission.reason) == (verdict in (Verdict.HOLD, Verdict.FORK))


def test_the_first_batch_of_an_origin_follows_nothing() -> None:
    first = header(1, origin=make_origin(b"c" * 32, b"i" * 8), prev=NO_PREVIOUS, deps=())
    assert admit(first, NEW, FRONTIER, NOW).verdict is Verdict.APPLY
    assert admit(msgspec.structs.replace(first, prev=HELD), NEW, FRONTIER, NOW).verdict is Verdict.FORK


def test_a_held_batch_is_admitted_once_what_it_lacks_is_there_and_its_time_has_come() -> None:
    waiting = header(6, prev=NEW, deps=((AUTHOR, 5), (OTHER, 2)), hlc=FAR)
    assert admit(waiting, NEW, FRONTIER, NOW).verdict is Verdict.HOLD
    caught_up = FRONTIER.advanced(AUTHOR, FrontierEntry(5, NEW[:8]))
    assert admit(waiting, NEW, caught_up, NOW).verdict is Verdict.HOLD
    assert admit(waiting, NEW, caught_up, NOW + 1).verdict is Verdict.APPLY
