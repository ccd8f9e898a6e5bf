"""Portable AI Memory: what a store holds arrives, and a text that is not what its hash says does not."""

import json
from pathlib import Path

from node.importers.portable_memory import content_hash
from node.repositories.memories import Memories, MemoryFilter
from tests.support.importing import FIXTURES, everything, import_records, read_records
from tests.support.scratch_store import scratch_store

STORE = FIXTURES / "memory-store.json"


def test_the_hash_is_that_of_the_specifications_example() -> None:
    published = "sha256:e1bae3ec291c99eced01fc91b4152a0cef541fccf2034fc11b3f90f4e4d79b6e"
    assert content_hash("User is a cloud infrastructure engineer") == published
    assert content_hash("  user IS a\ncloud  infrastructure engineer") == published


def test_memories_keep_their_kind_times_tags_and_provenance(tmp_path: Path) -> None:
    scratch = scratch_store(tmp_path)
    import_records(scratch.store, STORE)
    found = Memories(scratch.store, scratch.clock).recent(MemoryFilter(include_archived=True))
    oslo, carpenter, greeting = found
    assert (greeting.kind, greeting.title, greeting.tags) == ("preference", "Greetings", ("pam", "style"))
    assert (greeting.created_at, greeting.updated_at) == ("2025-01-01T10:00:00.000Z", "2025-05-31T22:00:00.000Z")
    assert greeting.metadata["language"] == "en"
    assert (oslo.kind, oslo.status, carpenter.status) == ("residence", "archived", "active")
    details = oslo.metadata["pam"]
    assert isinstance(details, dict)
    assert details["relations"][0]["to"] == "mem-002"
    assert details["temporal"] == {"valid_from": "2019-01-01T00:00:00Z"}
    assert details["provenance"]["platform"] == "chatgpt"
    before = everything(scratch.store)
    assert import_records(scratch.store, STORE).added_by_table.total() == 0
    assert everything(scratch.store) == before


def test_a_text_that_is_not_what_its_hash_says_is_left_out(tmp_path: Path) -> None:
    store = json.loads(STORE.read_bytes())
    store["memories"][0]["content"] += " now"
    store["memories"][1]["type"] = 3
    file = tmp_path / "memory-store.json"
    file.write_text(json.dumps(store))
    name, rows, left_out = read_records(file)
    assert (name, len(rows)) == ("pam", 1)
    assert [one.place for one in left_out] == [f"memory-store.json, line 1, memory {number}" for number in (1, 2)]
    assert "content_hash" in left_out[0].problem
