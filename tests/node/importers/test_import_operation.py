"""Importing as a person does: found out by content, rehearsed, resumed, with what is bad kept aside in a file."""

import json
import os
import signal
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from node.composition import init_home, open_home
from node.config import NodeConfig, PassphraseCost
from node.errors import InputError
from node.importers.batches import batches
from node.importers.chatgpt import ChatGptImporter
from node.importers.documents import documents_at
from node.importers.transactions import BYTES_PER_TRANSACTION
from node.operations.transfer import import_file
from node.requests import Imported, ImportProgress, ImportRequest
from node.service import Service
from tests.support.importing import FIXTURES, everything, import_records, zipped
from tests.support.scratch_store import scratch_store

CHATGPT, CLAUDE = FIXTURES / "chatgpt_2025.json", FIXTURES / "claude"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    config = NodeConfig(
        home_directory=tmp_path / "home",
        device_cost=PassphraseCost.INTERACTIVE,
        owner_cost=PassphraseCost.INTERACTIVE,
    )
    init_home(config, name="Laptop", passphrase="a passphrase", owner_passphrase="another passphrase")
    with open_home(config, passphrase="a passphrase") as service:
        yield service


async def imported(service: Service, path: Path, *, dry_run: bool = False) -> Imported:
    request = ImportRequest(path=str(path), dry_run=dry_run)
    async with aclosing(import_file(service, request)) as events:
        *progress, last = [event async for event in events]
    assert isinstance(last, Imported)
    assert all(isinstance(event, ImportProgress) for event in progress)
    assert [event.done for event in progress if isinstance(event, ImportProgress)][-1:] != [0]
    return last


def many_conversations(path: Path, count: int) -> Path:
    """Write an export of conversations of two hundred turns each."""

    def conversation(number: int) -> dict[str, object]:
        mapping: dict[str, object] = {
            f"{number}-{turn}": {
                "id": f"{number}-{turn}",
                "parent": f"{number}-{turn - 1}" if turn else None,
                "children": [],
                "message": {
                    "author": {"role": "user"},
                    "create_time": 1_700_000_000 + 1_000 * number + turn,
                    "content": {"content_type": "text", "parts": [f"turn {turn} of talk {number}"]},
                },
            }
            for turn in range(200)
        }
        return {"id": str(number), "title": f"talk {number}", "create_time": 1_700_000_000 + number, "mapping": mapping}

    path.write_text(json.dumps([conversation(number) for number in range(count)]))
    return path


async def test_the_format_is_found_out_and_progress_tells_bytes_and_rate(service: Service, tmp_path: Path) -> None:
    file = many_conversations(tmp_path / "conversations.json", 12)
    async with aclosing(import_file(service, ImportRequest(path=str(file)))) as events:
        *progress, last = [event async for event in events]
    told = [event for event in progress if isinstance(event, ImportProgress)]
    assert len(told) >= 2
    assert {(event.unit, event.total) for event in told} == {("bytes", file.stat().st_size)}
    assert [event.rows for event in told] == sorted(event.rows for event in told)
    assert told[-1].rows == 12 * 201
    assert told[-1].rows_per_second > 0
    assert isinstance(last, Imported)
    assert (last.format, last.added_by_table) == ("chatgpt", {"conversations": 12, "messages": 2_400})


async def test_a_dry_run_tells_what_an_import_then_does_and_writes_nothing(service: Service, tmp_path: Path) -> None:
    file = many_conversations(tmp_path / "conversations.json", 7)
    before = service.store.view()
    rehearsed = await imported(service, file, dry_run=True)
    assert service.store.view() == before
    done = await imported(service, file)
    assert rehearsed.dry_run
    assert rehearsed.added_by_table == done.added_by_table == {"conversations": 7, "messages": 1_400}
    again = await imported(service, file, dry_run=True)
    assert (again.added, again.unchanged) == (0, 1_407)


async def test_our_own_formats_are_rehearsed_too(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "memories.jsonl"
    file.write_text('{"content":"a"}\n{"content":"b"}\n')
    rehearsed = await imported(service, file, dry_run=True)
    assert (rehearsed.format, rehearsed.added) == ("jsonl", 2)
    assert everything(service.store) == {}
    assert (await imported(service, file)).added == 2


async def test_bad_records_are_told_and_kept_aside_for_the_person_alone(service: Service, tmp_path: Path) -> None:
    conversations = json.loads(CHATGPT.read_bytes())
    conversations[2]["mapping"]["p1"]["message"]["content"] = "broken"
    conversations[1] = {"title": "no mapping"}
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(conversations, indent=1))
    rehearsed = await imported(service, file, dry_run=True)
    aside = tmp_path / "conversations.json.left-out.jsonl"
    assert (rehearsed.left_out, rehearsed.left_out_file) == (2, None)
    assert not aside.exists()
    done = await imported(service, file)
    assert (done.left_out, done.left_out_file) == (2, str(aside))
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    kept = [json.loads(line) for line in aside.read_text().splitlines()]
    assert [(one["place"], one["problem"]) for one in kept] == [(one.place, one.problem) for one in done.problems]
    line = next(n for n, text in enumerate(file.read_text().split("\n"), start=1) if '"no mapping"' in text)
    assert kept[0]["place"] == f"conversations.json, line {line - 1}"
    assert json.loads(kept[0]["content"]) == conversations[1]
    assert json.loads(kept[1]["content"])["content"] == "broken"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    # Once the file is mended, what was kept aside goes in and nothing else does.
    again = await imported(service, CHATGPT)
    assert (again.added, again.left_out) == (1, 0)


async def test_an_archive_is_read_without_unpacking_it(service: Service, tmp_path: Path) -> None:
    archive = zipped(CLAUDE, tmp_path / "data.zip")
    done = await imported(service, archive)
    assert (done.format, done.added) == ("claude", 14)
    assert sorted(os.listdir(tmp_path)) == ["data.zip", "home"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.json", b'{"what":"ever"}', "was not recognised"),
        ("x.bin", bytes(range(256)), "was not recognised"),
        ("empty.json", b"", "was not recognised"),
        ("x.zip", b"PK\x05\x06" + bytes(18), "the folder or archive is empty"),
    ],
)
async def test_what_is_no_known_format_is_refused_with_what_to_do(
    service: Service, tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        await imported(service, tmp_path / name)
    assert everything(service.store) == {}


def test_reading_needs_memory_for_a_record_and_not_for_the_file(tmp_path: Path) -> None:
    turn = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["x" * 40_000]}}
    mapping = {str(number): {"message": turn, "parent": None} for number in range(10)}
    file = tmp_path / "conversations.json"
    with file.open("w") as writing:
        writing.write("[")
        for number in range(60):
            conversation = {"id": str(number), "mapping": mapping}
            writing.write(("," if number else "") + json.dumps(conversation))
        writing.write("]")
    size_bytes = file.stat().st_size
    documents = documents_at(file)
    tracemalloc.start()
    try:
        rows = sum(len(one.rows) for batch in batches(ChatGptImporter(), documents) for one in batch.records)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == 60 * 11
    assert size_bytes > 24_000_000
    # A transaction's worth of rows, the blocks that they came from, and copies of both on the way.
    assert peak_bytes < 10 * BYTES_PER_TRANSACTION < size_bytes


_IMPORT_HALF = """
import sys
from pathlib import Path
from node.importers.chatgpt import ChatGptImporter
from node.importers.batches import batches
from node.importers.documents import documents_at
from node.importers.record_writing import RecordWriter
from node.schemas import CORE_COMPONENTS
from tests.support.scratch_store import scratch_store

writer = RecordWriter(scratch_store(Path(sys.argv[1])).store, CORE_COMPONENTS)
for batch in batches(ChatGptImporter(), documents_at(Path(sys.argv[2]))):
    writer.write(batch.records)
    print(writer.rows_done, flush=True)
    sys.stdin.readline()
"""


def test_an_import_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    file = many_conversations(tmp_path / "conversations.json", 12)
    folder = tmp_path / "store"
    arguments = (sys.executable, "-c", _IMPORT_HALF, str(folder), str(file))
    environment = {**os.environ, "PYTHONPATH": str(FIXTURES.parents[2])}
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        done = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert 0 < done < 12 * 201
    rest = import_records(scratch_store(folder).store, file)
    assert rest.unchanged >= done
    assert rest.added_by_table.total() == 12 * 201 - rest.unchanged
    whole = scratch_store(tmp_path / "whole")
    import_records(whole.store, file)
    assert everything(scratch_store(folder).store) == everything(whole.store)
