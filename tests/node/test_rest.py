"""An idle node gives back its memory and its write-ahead log, once, and takes them again when there is work."""

from pathlib import Path

import pytest

from node.repositories.memories import Memories, NewMemory
from node.rest import QUIET_SECONDS, Rest, release_memory
from node.store.store import Store
from tests.support.scratch_store import scratch_store


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> list[Store]:
    """The stores whose memory was given back, in order."""
    stores: list[Store] = []
    really = Store.rest

    def counted(store: Store) -> None:
        stores.append(store)
        really(store)

    monkeypatch.setattr(Store, "rest", counted)
    return stores


def test_memory_is_given_back_once_after_a_quiet_while_and_again_after_work(
    tmp_path: Path, rested: list[Store]
) -> None:
    now = [0.0]
    scratch = scratch_store(tmp_path)
    memories = Memories(scratch.store, scratch.clock)
    rest = Rest(scratch.store, lambda: now[0])

    def ticks(seconds: float) -> None:
        for _ in range(int(seconds)):
            now[0] += 1
            rest.look()

    ticks(QUIET_SECONDS - 1)
    assert rested == []
    ticks(5 * QUIET_SECONDS)
    assert len(rested) == 1
    row_id = memories.remember(NewMemory(content="the tea"))
    ticks(QUIET_SECONDS)
    assert len(rested) == 1
    assert memories.get(row_id) is not None
    ticks(QUIET_SECONDS)
    assert len(rested) == 1
    ticks(QUIET_SECONDS)
    assert len(rested) == 2
    assert memories.get(row_id) is not None
    scratch.store.close()


def test_a_quiet_store_moves_its_write_ahead_log_into_the_file(tmp_path: Path) -> None:
    now = [0.0]
    scratch = scratch_store(tmp_path)
    rest = Rest(scratch.store, lambda: now[0])
    row_id = Memories(scratch.store, scratch.clock).remember(NewMemory(content="the tea"))
    assert scratch.store.health().sizes().log_bytes > 0
    for _ in range(2):
        now[0] += QUIET_SECONDS
        rest.look()
    assert scratch.store.health().sizes().log_bytes == 0
    assert Memories(scratch.store, scratch.clock).get(row_id) is not None
    scratch.store.close()


def test_giving_memory_back_works_wherever_this_runs() -> None:
    release_memory()
