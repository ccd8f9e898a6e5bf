"""Time never stands and never goes back, and a version vector knows exactly what it was told."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.hybrid_clock import HybridClock, hybrid_milliseconds
from crdt.identifiers import HybridTime, Origin, make_dot, make_stamp
from crdt.identifiers import Sequence as SequenceNumber
from crdt.version_vector import VersionVector

bounded = settings(max_examples=80, derandomize=True, deadline=None)
A, B, C = (Origin(bytes([number]) * 40) for number in (1, 2, 3))
VECTORS = st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 5).map(SequenceNumber)).map(VersionVector)


@bounded
@given(events=st.lists(st.tuples(st.booleans(), st.integers(0, 2**47))))
def test_the_next_time_exceeds_every_one_made_or_seen(events: list[tuple[bool, int]]) -> None:
    clock, greatest = HybridClock(), 0
    for seen, value in events:
        if seen:
            clock.observe(HybridTime(value << 16 | 0xFFFF))
            greatest = max(greatest, value << 16 | 0xFFFF)
        else:
            made = clock.next(value)
            assert made > greatest
            assert hybrid_milliseconds(made) >= value
            greatest = made


def test_a_burst_within_one_millisecond_carries_into_the_next() -> None:
    clock = HybridClock()
    made = [clock.next(1_000) for _ in range(2**16 + 1)]
    assert hybrid_milliseconds(made[0]) == hybrid_milliseconds(made[-2]) == 1_000
    assert made[-1] == 1_001 << 16


def test_a_wall_clock_that_is_set_back_does_not_take_the_clock_along() -> None:
    clock = HybridClock()
    before = clock.next(5_000)
    assert clock.next(1_000) == before + 1


@bounded
@given(a=VECTORS, b=VECTORS, c=VECTORS)
def test_joining_vectors_is_a_least_upper_bound(a: VersionVector, b: VersionVector, c: VersionVector) -> None:
    joined = a.join(b)
    assert joined == b.join(a)
    assert joined.join(c) == a.join(b.join(c))
    assert a.join(a) == a
    for origin in (A, B, C):
        for seq in range(1, 7):
            assert joined.covers(origin, seq) == (a.covers(origin, seq) or b.covers(origin, seq))


def test_a_vector_covers_stamps_and_dots_by_their_batch() -> None:
    vector = VersionVector({A: SequenceNumber(2)})
    assert vector.covers_stamp(make_stamp(9, A, 2))
    assert not vector.covers_stamp(make_stamp(9, A, 3))
    assert not vector.covers_stamp(make_stamp(9, B, 1))
    assert vector.covers_dot(make_dot(A, 1, 99))
    assert not vector.covers_dot(make_dot(A, 3, 0))
