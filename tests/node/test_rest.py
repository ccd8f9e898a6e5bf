"""An idle node gives its memory back, once, and takes it again when there is work."""

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


def test_giving_memory_back_works_wherever_this_runs() -> None:
    release_memory()
