"""The first batch at which two chains differ is found in few rounds, whatever either end has dropped."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.identifiers import make_origin
from sync.chain_search import ChainSearch
from sync.identifiers import BatchHash
from sync.limits import CHAIN_PROBES_MAX
from sync.streams import Stream

ORIGIN = make_origin(b"d" * 32, b"i" * 8)


def hash_at(seq: int, forked_at: int | None) -> BatchHash:
    """Return the hash of a batch of one of two chains; those from `forked_at` on are of the second alone."""
    side = b"first " if forked_at is None or seq < forked_at else b"second"
    return BatchHash(side + seq.to_bytes(26, "big"))


def run(highest: int, forked_at: int | None, held_from: int = 1) -> tuple[ChainSearch, int]:
    """Search to the end; the other end's log begins at `held_from`."""
    search, rounds = ChainSearch(Stream.MEMORIES, ORIGIN, highest), 0
    while not search.ended:
        probes = search.probes()
        assert probes
        assert len(probes) <= CHAIN_PROBES_MAX
        assert list(probes) == sorted(set(probes))
        rounds += 1
        assert rounds <= 8, "the search does not come to an end"
        ours = {seq: hash_at(seq, None) for seq in probes}
        theirs = {seq: hash_at(seq, forked_at) for seq in probes if seq >= held_from}
        search.learned(ours, theirs)
    return search, rounds


@settings(max_examples=300, derandomize=True)
@given(st.data())
def test_the_first_difference_is_found(data: st.DataObject) -> None:
    highest = data.draw(st.integers(1, 2**31 - 1) | st.integers(1, 200))
    forked_at = data.draw(st.integers(1, highest))
    search, rounds = run(highest, forked_at)
    assert search.first_differing == forked_at
    assert rounds <= 6


@pytest.mark.parametrize("highest", [1, 2, 63, 64, 65, 66, 4_097, 1_000_000])
def test_equal_chains_have_no_difference(highest: int) -> None:
    search, _ = run(highest, None)
    assert (search.first_differing, search.differs_at, search.equal_to) == (None, None, highest)


@settings(max_examples=200, derandomize=True)
@given(st.integers(1, 5_000), st.integers(0, 5_000), st.integers(0, 5_000))
def test_what_an_end_has_dropped_ends_the_search_and_never_misleads_it(forked_at: int, more: int, gap: int) -> None:
    search, _ = run(forked_at + more, forked_at, held_from=gap)
    if search.first_differing is not None:
        assert search.first_differing == forked_at
    if search.differs_at is not None:
        assert search.differs_at >= forked_at


def test_an_end_that_answers_nothing_ends_the_search() -> None:
    search = ChainSearch(Stream.MEMORIES, ORIGIN, 1000)
    search.learned({seq: hash_at(seq, None) for seq in search.probes()}, {})
    assert search.ended
    assert search.differs_at is None


def test_what_was_not_asked_changes_nothing() -> None:
    search = ChainSearch(Stream.MEMORIES, ORIGIN, 10)
    search.learned({11: hash_at(11, None)}, {11: hash_at(11, 3)})
    assert search.equal_to == 0
    assert search.differs_at is None
