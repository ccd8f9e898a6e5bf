"""What a person or a stranger can do wrong is refused with a sentence and an exit code, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from node.demo.device import Device
from node.requests import RECALL, STATUS, RecallRequest, StatusRequest
from tests.support.household import found_realm, make_device
from tests.support.program import nuthatch, rows, succeeds

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEPT = "The spare key hangs in the shed."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def laptop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Device]:
    device = make_device(tmp_path_factory.mktemp("bad-input"), "laptop", "a good passphrase")
    try:
        await found_realm(device)
        await succeeds(device.home.directory, "remember", KEPT)
        yield device
    finally:
        await device.crash()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def nothing_is_lost(laptop: Device) -> AsyncIterator[None]:
    """After every refusal the node lives and still holds what was kept."""
    yield
    async with laptop.reached() as caller:
        recalled = await caller.call(RECALL, RecallRequest(query="spare key"))
    assert [result.text for result in recalled.results] == [KEPT]


def contents(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.iterdir()}


@pytest.fixture
def wrong_passphrase_file(tmp_path: Path) -> str:
    file = tmp_path / "wrong"
    file.write_text("a bad passphrase\n")
    return str(file)


@pytest.fixture(scope="module")
def stopped_home(laptop: Device) -> Path:
    """A home whose node does not run."""
    return laptop.home.directory.with_name("stopped")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stopped(laptop: Device, stopped_home: Path) -> Path:
    await succeeds(stopped_home, "init", "--name", "old", "--passphrase-file", str(laptop.passphrase_file))
    return stopped_home


async def test_a_second_init_refuses_and_changes_nothing(laptop: Device, stopped: Path) -> None:
    before = contents(stopped)
    outcome = await nuthatch(stopped, "init", "--name", "x", "--passphrase-file", str(laptop.passphrase_file))
    assert outcome.exit_code == 5
    assert str(stopped) in outcome.error
    assert contents(stopped) == before


@pytest.mark.parametrize("command", [("run",), ("list",), ("remember", "text"), ("status",)])
async def test_a_wrong_passphrase_ends_with_exit_code_3(
    stopped: Path, wrong_passphrase_file: str, command: tuple[str, ...]
) -> None:
    outcome = await nuthatch(stopped, *command, "--passphrase-file", wrong_passphrase_file)
    assert outcome.exit_code == 3
    assert "passphrase" in outcome.error


async def test_run_without_a_passphrase_ends_with_exit_code_3(stopped: Path) -> None:
    assert (await nuthatch(stopped, "run")).exit_code == 3
    assert (await nuthatch(stopped, "run", "--passphrase-file", "/nonexistent")).exit_code == 3


@pytest.mark.parametrize("command", [("status",), ("list",), ("recall", "x"), ("remember", "x"), ("pair",)])
async def test_without_a_node_and_a_passphrase_the_exit_code_is_4(stopped: Path, command: tuple[str, ...]) -> None:
    outcome = await nuthatch(stopped, *command)
    assert outcome.exit_code == 4
    assert "nuthatch run" in outcome.error


@pytest.mark.parametrize(
    "command",
    [
        ("frobnicate",),
        ("recall",),
        ("recall", "x", "-k", "zero"),
        ("recall", "x", "-k", "0"),
        ("import", "--format", "sqlite", "file"),
        ("sql", "SELECT ?", "--param", "not json"),
        ("show", "not-an-id"),
        ("join", "NUT1:TYPO", "--name", "x", "--passphrase-file", "/dev/stdin"),
        (),
    ],
)
async def test_wrong_usage_ends_with_exit_code_2_and_one_object(laptop: Device, command: tuple[str, ...]) -> None:
    home = laptop.home.directory if command[:1] != ("join",) else laptop.home.directory.with_name("nowhere")
    outcome = await nuthatch(home, *command, given="passphrase\n")
    assert outcome.exit_code == 2
    assert len(outcome.events) == 1
    assert outcome.error.endswith((".", "?", "!"))


async def test_a_wrong_owner_passphrase_opens_no_window(laptop: Device, wrong_passphrase_file: str) -> None:
    outcome = await nuthatch(laptop.home.directory, "pair", "--owner-passphrase-file", wrong_passphrase_file)
    assert outcome.exit_code == 3
    assert not any(event.get("event") == "code" for event in outcome.events)


async def test_a_second_node_on_one_home_is_refused_and_the_first_lives(laptop: Device) -> None:
    outcome = await nuthatch(
        laptop.home.directory, "run", "--passphrase-file", str(laptop.passphrase_file), "--listen", "127.0.0.1:0"
    )
    assert outcome.exit_code == 1
    assert "Another process" in outcome.error


async def test_a_port_in_use_is_named(laptop: Device, stopped: Path) -> None:
    outcome = await nuthatch(
        stopped, "run", "--passphrase-file", str(laptop.passphrase_file), "--listen", laptop.listen
    )
    assert outcome.exit_code == 1
    assert laptop.listen.rpartition(":")[2] in outcome.error


@pytest.mark.parametrize(
    "statement",
    ["SELECT readfile('/etc/passwd')", "VACUUM INTO 'stolen.db'", "SELECT * FROM sqlite_master", "DROP TABLE memories"],
)
async def test_sql_that_reaches_elsewhere_is_refused(laptop: Device, statement: str) -> None:
    outcome = await nuthatch(laptop.home.directory, "sql", statement)
    assert outcome.exit_code in {2, 5}, outcome
    assert outcome.error


async def test_sql_answers_with_bytes_as_base64(laptop: Device) -> None:
    [[record_id, text]] = rows(await succeeds(laptop.home.directory, "sql", "SELECT id, content FROM memories"))
    assert isinstance(record_id, dict)
    found = await succeeds(
        laptop.home.directory,
        "sql",
        "SELECT content FROM memories WHERE id = ?",
        "--param",
        msgspec.json.encode(record_id).decode(),
    )
    assert rows(found) == [[text]] == [[KEPT]]
    assert found["columns"] == ["content"]


async def test_a_malformed_import_names_line_and_field_and_takes_nothing(laptop: Device, tmp_path: Path) -> None:
    file = tmp_path / "memories.jsonl"
    file.write_text('{"content": "The spare key is good."}\n{"content": "The spare key is bad.", "tags": "no list"}\n')
    outcome = await nuthatch(laptop.home.directory, "import", str(file))
    assert outcome.exit_code == 1
    assert "2" in outcome.error
    assert "tags" in outcome.error


async def test_a_malformed_conversation_names_the_place(laptop: Device, tmp_path: Path) -> None:
    file = tmp_path / "conversation.json"
    file.write_text('{"speaker_a": "A", "speaker_b": "B", "session_1": [\n{"speaker": "A", "dia_id": "D1:1"}]}')
    outcome = await nuthatch(laptop.home.directory, "import", str(file))
    assert outcome.exit_code == 1
    assert "session_1" in outcome.error
    assert (await nuthatch(laptop.home.directory, "import", str(tmp_path / "absent.json"))).exit_code == 1


async def test_no_query_is_an_error(laptop: Device) -> None:
    async with laptop.reached() as caller:
        for query in ("C++", "what's up?", "foo-bar", '"', "a AND", "NEAR(", "*", "content:x", "", "🪶"):
            await caller.call(RECALL, RecallRequest(query=query))
    assert "results" in await succeeds(laptop.home.directory, "recall", "--", '-"AND* (')


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 4096, b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100_000, b"NUT1 hello\r\n\r\n"],
    ids=["zeros", "http", "long", "text"],
)
async def test_a_stranger_that_speaks_garbage_learns_nothing_and_the_node_lives(laptop: Device, garbage: bytes) -> None:
    host, _, port = laptop.listen.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(garbage)
        await writer.drain()
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(1 << 16), 10)
    except ConnectionError:
        answer = b""
    finally:
        writer.transport.abort()
    async with laptop.reached() as caller:
        status = await caller.call(STATUS, StatusRequest())
    for ours in (status.name, status.device_id, status.realm_id):
        assert ours.encode() not in answer
        assert len(ours) < 64 or bytes.fromhex(ours) not in answer


async def test_the_local_api_wants_its_token(laptop: Device) -> None:
    endpoint = msgspec.json.decode(laptop.home.api_file.read_bytes(), type=dict[str, str])
    assert laptop.home.api_file.stat().st_mode & 0o777 == 0o600
    host, _, port = endpoint["address"].rpartition(":")
    assert host == "127.0.0.1"
    for header in ("", "Authorization: Bearer 0000\r\n", f"Authorization: Bearer {endpoint['token'][:-1]}\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"POST /v1/status HTTP/1.1\r\nHost: {host}:{port}\r\n{header}Content-Length: 2\r\n\r\n{{}}"
        writer.write(request.encode())
        status_line = await asyncio.wait_for(reader.readline(), 10)
        writer.transport.abort()
        assert status_line.split()[1] in {b"401", b"403"}
