"""A frontier is a canonical, joinable account of what a replica holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.identifiers import SEQUENCE_MAX, Origin
from sync.errors import RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, NO_ENTRY, Frontier, FrontierEntry, ReplicaView, StreamState
from sync.streams import Stream, stream_priority

bounded = settings(max_examples=80, derandomize=True, deadline=None)
A, B, C = (Origin(bytes([number]) * 40) for number in (1, 2, 3))
# Prefixes that differ at one number stand for a forked author.
ENTRIES = st.builds(FrontierEntry, st.integers(1, 4), st.sampled_from([b"prefix-1", b"prefix-2"]))
FRONTIERS = st.dictionaries(st.sampled_from([A, B, C]), ENTRIES).map(Frontier)


@bounded
@given(a=FRONTIERS, b=FRONTIERS, c=FRONTIERS)
def test_joining_frontiers_is_a_least_upper_bound_even_of_forks(a: Frontier, b: Frontier, c: Frontier) -> None:
    joined = a.join(b)
    assert joined == b.join(a)
    assert joined.join(c) == a.join(b.join(c))
    assert a.join(a) == a
    assert joined.covers_all(a)
    assert joined.covers_all(b)
    for origin in (A, B, C):
        assert joined.entry(origin) in (a.entry(origin), b.entry(origin))
        assert joined.vector().covers(origin, 3) == joined.covers(origin, 3)


@bounded
@given(frontier=FRONTIERS)
def test_a_frontier_reads_back_as_it_was_spelled(frontier: Frontier) -> None:
    assert Frontier.from_wire(frontier.to_wire()) == frontier
    assert [row[0] for row in frontier.to_wire()] == sorted(frontier.entries)


def test_an_advanced_frontier_leaves_the_old_one_as_it_was() -> None:
    first = EMPTY_FRONTIER.advanced(A, FrontierEntry(1, b"prefix-1"))
    assert EMPTY_FRONTIER.entries == {}
    assert (first.covers(A, 1), first.covers(A, 2), first.covers(B, 1)) == (True, False, False)
    assert first.entry(B) == NO_ENTRY
    assert not EMPTY_FRONTIER.covers_all(first)
    assert first.covers_all(EMPTY_FRONTIER)


GOOD = [A, 1, b"prefix-1"]


@pytest.mark.parametrize(
    "value",
    [
        None, {}, "frontier", 7, [GOOD, GOOD], [[B, 1, b"prefix-1"], GOOD],
        [[A, 0, b"prefix-1"]], [[A, -1, b"prefix-1"]],
        [[A, SEQUENCE_MAX + 1, b"prefix-1"]], [[A, True, b"prefix-1"]], [[A, 1.0, b"prefix-1"]], [[A, 1, b"prefix"]],
        [[A, 1, "prefix-1"]], [[A[:-1], 1, b"prefix-1"]], [[A, 1]], [[A, 1, b"prefix-1", 0]], [None], [A], [b"abc"],
    ],
)  # fmt: skip
def test_a_malformed_frontier_is_refused(value: object) -> None:
    with pytest.raises(RemoteProtocolError):
        Frontier.from_wire(value)


def test_streams_agree_only_on_equal_frontier_and_equal_digest() -> None:
    frontier = Frontier({A: FrontierEntry(1, b"prefix-1")})
    state = StreamState(frontier=frontier, digest=b"d" * 32, rows=1)
    assert state.agrees_with(StreamState(frontier=frontier, digest=b"d" * 32, rows=2))
    assert not state.agrees_with(StreamState(frontier=frontier, digest=b"e" * 32, rows=1))
    assert not state.agrees_with(StreamState(digest=b"d" * 32, rows=1))
    forked = Frontier({A: FrontierEntry(1, b"prefix-2")})
    assert not state.agrees_with(StreamState(frontier=forked, digest=b"d" * 32, rows=1))


def test_a_stream_that_holds_nothing_is_empty() -> None:
    assert ReplicaView(streams={}).stream(Stream.MEDIA) == StreamState()


def test_codes_and_priorities_of_streams_are_what_is_on_disks_already() -> None:
    assert {stream.title: (int(stream), stream_priority(stream)) for stream in Stream} == {
        "profile": (0, 0), "conversations": (1, 1), "memories": (2, 1), "knowledge": (3, 2),
        "files": (4, 2), "vectors": (5, 3), "analytics": (6, 3), "media": (7, 3),
    }  # fmt: skip
