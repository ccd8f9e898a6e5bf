"""Every arriving batch gets exactly one verdict."""

import msgspec
import pytest

from crdt.identifiers import Origin, make_origin
from sync.batch import NO_PREVIOUS, BatchHeader
from sync.frontier import Dependency, Frontier, FrontierEntry
from sync.identifiers import BatchHash
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX
from sync.replica import Standing, Verdict, admit
from sync.streams import Stream

NOW = 1_795_000_000_000
AUTHOR: Origin = make_origin(b"a" * 32, b"i" * 8)
OTHER: Origin = make_origin(b"b" * 32, b"i" * 8)
HELD = BatchHash(b"held hash" + bytes(23))
NEW = BatchHash(b"new hash!" + bytes(23))
OTHERS = Dependency(OTHER, 2, b"others!!")
MISSING = Dependency(OTHER, 3, b"not here")
OTHERWISE = Dependency(OTHER, 2, b"no, mine")
FRONTIER = Frontier({AUTHOR: FrontierEntry(4, HELD[:8]), OTHER: FrontierEntry(2, b"others!!")})


def header(seq: int, **changes: object) -> BatchHeader:
    plain = BatchHeader(
        origin=AUTHOR,
        stream=Stream.MEMORIES,
        seq=seq,
        prev=HELD,
        deps=(Dependency(AUTHOR, seq - 1, HELD[:8]), OTHERS),
        hlc=NOW << 16,
        schemas=(),
        group=b"",
        layouts=(),
        count=1,
        body_bytes=1,
        stands_for=(),
    )
    return msgspec.structs.replace(plain, **changes)


def standing_of(dependency: Dependency) -> Standing:
    """Tell what is held; of the author's own chain nobody needs to ask."""
    return {OTHERS: Standing.HELD, MISSING: Standing.MISSING, OTHERWISE: Standing.OTHERWISE}[dependency]


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
        (header(5, deps=(Dependency(AUTHOR, 4, HELD[:8]), MISSING)), NEW, Verdict.HOLD),
        (header(5, deps=(Dependency(AUTHOR, 4, HELD[:8]), OTHERWISE)), NEW, Verdict.HOLD),
        (header(5, hlc=FAR), NEW, Verdict.HOLD),
        (header(5, prev=NEW, hlc=FAR), NEW, Verdict.FORK),
        (header(4, hlc=FAR), HELD, Verdict.DUPLICATE),
    ],
)
def test_a_batch_is_admitted_by_the_rules(candidate: BatchHeader, batch_hash: BatchHash, verdict: Verdict) -> None:
    admission = admit(candidate, batch_hash, FRONTIER, NOW, standing_of)
    assert admission.verdict is verdict
    assert bool(admission.reason) == (verdict in (Verdict.HOLD, Verdict.FORK))


def test_what_builds_on_another_version_of_a_batch_waits_and_says_which() -> None:
    """More than one may be in dispute; what is only missing besides changes nothing."""
    disputed = admit(header(5, deps=(OTHERWISE, MISSING)), NEW, FRONTIER, NOW, standing_of)
    assert (disputed.verdict, disputed.disputed) == (Verdict.HOLD, (OTHERWISE,))
    assert admit(header(5, deps=(MISSING,)), NEW, FRONTIER, NOW, standing_of).disputed == ()


def test_the_first_batch_of_an_origin_follows_nothing() -> None:
    first = header(1, origin=make_origin(b"c" * 32, b"i" * 8), prev=NO_PREVIOUS, deps=())
    assert admit(first, NEW, FRONTIER, NOW, standing_of).verdict is Verdict.APPLY
    assert admit(msgspec.structs.replace(first, prev=HELD), NEW, FRONTIER, NOW, standing_of).verdict is Verdict.FORK


def test_a_held_batch_is_admitted_once_what_it_lacks_is_there_and_its_time_has_come() -> None:
    waiting = header(6, prev=NEW, deps=(Dependency(AUTHOR, 5, NEW[:8]), OTHERS), hlc=FAR)
    assert admit(waiting, NEW, FRONTIER, NOW, standing_of).verdict is Verdict.HOLD
    caught_up = FRONTIER.advanced(AUTHOR, FrontierEntry(5, NEW[:8]))
    assert admit(waiting, NEW, caught_up, NOW, standing_of).verdict is Verdict.HOLD
    assert admit(waiting, NEW, caught_up, NOW + 1, standing_of).verdict is Verdict.APPLY
