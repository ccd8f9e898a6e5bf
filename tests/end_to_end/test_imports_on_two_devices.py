"""What other programs wrote goes in on one device and comes out on the other as it was."""

import json
from pathlib import Path

import pytest

from node.clock import SystemClock
from node.exporters.jsonl import export_lines
from node.exporters.markdown import markdown_files
from node.exporters.mcp_memory import graph_lines
from node.importers import record_importer_by_format
from node.importers.documents import document_of
from node.importers.jsonl import JsonlImporter
from node.importers.writing import write_plan
from node.repositories.memories import Memories
from node.schemas import CORE_COMPONENTS
from tests.support.importing import FIXTURES, everything, import_records, read_records
from tests.support.nodes import Node, live_realm, make_node, running, until
from tests.support.program import nuthatch, succeeds
from tests.support.scratch_store import scratch_store

NAMES = sorted(path.name for path in FIXTURES.iterdir())


async def in_sync(first: Node, second: Node) -> None:
    await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())


def test_every_format_has_a_fixture() -> None:
    formats = {read_records(FIXTURES / name)[0] for name in NAMES}
    assert formats == set(record_importer_by_format())


@pytest.mark.parametrize("name", NAMES)
async def test_what_goes_in_on_one_device_comes_out_on_the_other_unchanged(tmp_path: Path, name: str) -> None:
    realm = live_realm(2)
    laptop, desktop = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(laptop, desktop):
        desktop.runtime.dial(laptop.runtime.listen_address)
        await in_sync(laptop, desktop)
        written = import_records(laptop.store, FIXTURES / name).added_by_table
        await until(lambda: sum(map(len, everything(desktop.store).values())) == written.total())
        await in_sync(laptop, desktop)
        assert everything(desktop.store) == everything(laptop.store)
        # The other device knows all of it already.
        assert import_records(desktop.store, FIXTURES / name).added_by_table.total() == 0
        exported = "".join(export_lines(desktop.store, CORE_COMPONENTS))
        fresh = scratch_store(tmp_path / "fresh").store
        plan = JsonlImporter(CORE_COMPONENTS).read(document_of(exported.encode(), "export.jsonl"))
        assert list(write_plan(fresh, CORE_COMPONENTS, plan))[-1].report.added == written.total()
        assert everything(fresh) == everything(laptop.store)


async def test_a_graph_and_a_vault_come_out_of_the_other_device_as_they_were(tmp_path: Path) -> None:
    realm = live_realm(2)
    laptop, desktop = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(laptop, desktop):
        desktop.runtime.dial(laptop.runtime.listen_address)
        # Apart, on both; what both hold is one record.
        import_records(laptop.store, FIXTURES / "memory.jsonl")
        import_records(laptop.store, FIXTURES / "vault")
        import_records(desktop.store, FIXTURES / "memory.jsonl")
        await in_sync(laptop, desktop)
        await until(lambda: everything(laptop.store) == everything(desktop.store))
        vault = {file.path: file.text for file in markdown_files(desktop.store) if "[[Boathouse" in file.text}
        note = (FIXTURES / "vault" / "Daily" / "2024-05-01.md").read_text()
        assert vault["memories/default/Daily/2024-05-01.md"].endswith(note.partition("---\n\n")[2])
        memories = Memories(desktop.store, SystemClock())
        for memory in memories.recent(limit=100):
            if memory.source == "markdown":
                memories.forget(memory.id)
        await in_sync(laptop, desktop)
        await until(lambda: "".join(graph_lines(laptop.store)) == (FIXTURES / "memory.jsonl").read_text())
        # What was forgotten on the other device is not brought back, and it is told.
        again = import_records(laptop.store, FIXTURES / "vault")
        assert (again.added_by_table.total(), again.skipped) == (0, 4)


async def test_the_commands_import_rehearse_tell_what_is_bad_and_export(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    home, unlock = tmp_path / "home", ("--passphrase-file", str(passphrase))
    await succeeds(home, "init", "--name", "laptop", *unlock)
    conversations = json.loads((FIXTURES / "chatgpt_2025.json").read_bytes())
    conversations.insert(0, {"title": "no mapping"})
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(conversations))
    rehearsed = await succeeds(home, "import", str(file), "--dry-run", *unlock)
    assert (rehearsed["format"], rehearsed["dry_run"], rehearsed["left_out_file"]) == ("chatgpt", True, None)
    imported = await succeeds(home, "import", str(file), *unlock)
    assert imported["added"] == rehearsed["added"] == 19
    assert imported["left_out_file"] == f"{file}.left-out.jsonl"
    found = await succeeds(home, "recall", "mushroom under a birch", *unlock)
    assert "Fløyen" in json.dumps(found, ensure_ascii=False)
    folder = tmp_path / "notes"
    exported = await succeeds(home, "export", "--format", "markdown", "--output", str(folder), *unlock)
    assert exported["lines"] == 2
    assert (folder / "conversations" / "2025-01-22 Mushroom under a birch.md").is_file()
    again = await nuthatch(home, "export", "--format", "markdown", "--output", str(folder), *unlock)
    assert again.exit_code == 1
    assert "cannot be written" in again.error
    assert (await nuthatch(home, "export", "--format", "markdown", *unlock)).exit_code == 2
