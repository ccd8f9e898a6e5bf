"""Every operation of one device, on a real home with a real store, without a node and through the local API."""

import asyncio
import json
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node.api.server import serve_api
from node.composition import Initialised, init_home, open_home
from node.config import NodeConfig, PassphraseCost
from node.entropy import SystemEntropy
from node.errors import (
    HostError,
    InputError,
    NotRunningError,
    RefusedError,
    StoreLockedError,
    UsageError,
    WrongKeyError,
    WrongPassphraseError,
)
from node.home import Home
from node.operations.table import LocalCaller
from node.reaching import reach
from node.requests import (
    DEVICES,
    EDIT,
    EVENTS,
    EXPORT,
    FORGET,
    IMPORT,
    LIST,
    PAIR,
    PAIR_ANSWER,
    RECALL,
    REMEMBER,
    SHOW,
    SQL,
    STATUS,
    Caller,
    DevicesRequest,
    EditRequest,
    EventsRequest,
    ExportLine,
    ExportRequest,
    Following,
    ForgetRequest,
    Imported,
    ImportProgress,
    ImportRequest,
    ListRequest,
    PairAnswerRequest,
    PairRequest,
    RecallRequest,
    RememberRequest,
    RowsChanged,
    ShowRequest,
    SqlRequest,
    StatusRequest,
)

PASSPHRASE = "a passphrase of the device"
OWNER_PASSPHRASE = "a passphrase of the owner"


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    return NodeConfig(
        home_directory=tmp_path / "home",
        device_cost=PassphraseCost.INTERACTIVE,
        owner_cost=PassphraseCost.INTERACTIVE,
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Initialised, Path]:
    """Return a home that was just made: making one takes a fifth of a second, and each test needs its own copy."""
    directory = tmp_path_factory.mktemp("template") / "home"
    config = NodeConfig(
        home_directory=directory, device_cost=PassphraseCost.INTERACTIVE, owner_cost=PassphraseCost.INTERACTIVE
    )
    made = init_home(config, name="Laptop", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    return made, directory


@pytest.fixture
def initialised(config: NodeConfig, template: tuple[Initialised, Path]) -> Initialised:
    made, directory = template
    shutil.copytree(directory, config.home_directory)
    return made


@asynccontextmanager
async def in_process(config: NodeConfig) -> AsyncIterator[Caller]:
    async with reach(config, passphrase=lambda: PASSPHRASE) as caller:
        assert isinstance(caller, LocalCaller)
        yield caller


@asynccontextmanager
async def over_http(config: NodeConfig, passphrase: str = PASSPHRASE) -> AsyncIterator[Caller]:
    """As a command does while a node runs: the home is owned, so the passphrase must not be asked for."""

    def never() -> str:
        raise AssertionError("a command that reaches a running node asked for the passphrase")

    with open_home(config, passphrase=passphrase) as service:
        async with (
            serve_api(service.home, LocalCaller(service), address="127.0.0.1:0", entropy=SystemEntropy()),
            reach(config, passphrase=never) as caller,
        ):
            assert not isinstance(caller, LocalCaller)
            yield caller


@pytest.fixture(params=[in_process, over_http], ids=["in process", "over http"])
async def caller(request: pytest.FixtureRequest, config: NodeConfig, initialised: Initialised) -> AsyncIterator[Caller]:
    async with request.param(config) as caller:
        yield caller


async def remember(caller: Caller, text: str) -> str:
    return (await caller.call(REMEMBER, RememberRequest(text=text))).id


async def import_file(caller: Caller, path: Path) -> Imported:
    *progress, last = [event async for event in caller.stream(IMPORT, ImportRequest(format="jsonl", path=str(path)))]
    assert isinstance(last, Imported)
    assert all(isinstance(event, ImportProgress) for event in progress)
    return last


async def test_a_memory_is_remembered_found_listed_shown_edited_and_forgotten(caller: Caller) -> None:
    request = RememberRequest(text="Nuthatches cache acorns", namespace="birds", tags=["b", "a"])
    made = await caller.call(REMEMBER, request)
    (found,) = (await caller.call(RECALL, RecallRequest(query="acorn"))).results
    assert (found.id, found.table, found.namespace, found.tags) == (made.id, "memories", "birds", ["a", "b"])
    await remember(caller, "Something else")
    listed = (await caller.call(LIST, ListRequest(namespace="birds"))).memories
    assert [memory.text for memory in listed] == ["Nuthatches cache acorns"]
    assert len((await caller.call(LIST, ListRequest())).memories) == 2
    await caller.call(EDIT, EditRequest(id=made.id, text="Jays cache acorns"))
    shown = await caller.call(SHOW, ShowRequest(id=made.id))
    assert (shown.table, shown.fields["content"], shown.fields["tags"]) == ("memories", "Jays cache acorns", ["a", "b"])
    await caller.call(FORGET, ForgetRequest(id=made.id))
    assert (await caller.call(RECALL, RecallRequest(query="acorns"))).results == []
    with pytest.raises(UsageError, match="no record"):
        await caller.call(SHOW, ShowRequest(id=made.id))
    with pytest.raises(UsageError, match="no record"):
        await caller.call(FORGET, ForgetRequest(id=made.id))


async def test_a_record_is_found_by_as_many_digits_of_its_id_as_no_other_begins_with(caller: Caller) -> None:
    remembered = await caller.call(REMEMBER, RememberRequest(text="The key is under the third pot."))
    await caller.call(REMEMBER, RememberRequest(text="The key is under the fourth pot."))
    # All but the last digit, in capitals and without hyphens: chance does not repeat so many.
    shown = await caller.call(SHOW, ShowRequest(id=remembered.id.replace("-", "").upper()[:-1]))
    assert shown.id == remembered.id
    with pytest.raises(UsageError, match=f"several records.*{remembered.id}"):
        await caller.call(FORGET, ForgetRequest(id=remembered.id[:4]))
    for none in ("ffff", "abc", remembered.id[:4] + "g"):
        with pytest.raises(UsageError):
            await caller.call(FORGET, ForgetRequest(id=none))
    assert len((await caller.call(LIST, ListRequest())).memories) == 2


async def test_an_edit_of_the_version_that_was_read_keeps_what_came_since(caller: Caller) -> None:
    made = await remember(caller, "Jays cache acorns.")
    read = await caller.call(SHOW, ShowRequest(id=made))
    await caller.call(EDIT, EditRequest(id=made, text="Jays cache acorns. Mice find them."))
    await caller.call(EDIT, EditRequest(id=made, text="Blue jays cache acorns.", base=read.version))
    shown = await caller.call(SHOW, ShowRequest(id=made))
    assert shown.fields["content"] == "Blue jays cache acorns. Mice find them."
    with pytest.raises(UsageError, match="no version"):
        await caller.call(EDIT, EditRequest(id=made, text="x", base="yesterday"))


@pytest.mark.parametrize("query", ["C++ \"what's up?", "foo-bar AND", "NEAR(", "*", "", "\0", "🐦"])
async def test_any_text_is_a_query(caller: Caller, query: str) -> None:
    await remember(caller, "foo-bar in C++")
    await caller.call(RECALL, RecallRequest(query=query))


async def test_sql_takes_and_gives_bytes_as_base64_and_its_writes_count(caller: Caller) -> None:
    made = await remember(caller, "one")
    rows = (await caller.call(SQL, SqlRequest(statement="SELECT id FROM memories"))).rows
    (id_value,) = rows[0]
    assert isinstance(id_value, dict)
    answer = await caller.call(
        SQL, SqlRequest(statement="UPDATE memories SET content = ? WHERE id = ?", parameters=["two", id_value])
    )
    assert answer.changes == 1
    shown = await caller.call(SHOW, ShowRequest(id=made))
    assert shown.fields["content"] == "two"
    values: list[object] = [None, 7, 0.5, "text", True, {"$base64": "AP8="}]
    answer = await caller.call(SQL, SqlRequest(statement="SELECT ?, ?, ?, ?, ?, ?", parameters=values))
    assert answer.rows == [[None, 7, 0.5, "text", 1, {"$base64": "AP8="}]]


@pytest.mark.parametrize(
    ("statement", "parameters", "kind"),
    [
        ("SELECT * FROM _meta", [], RefusedError),
        ("SELECT readfile('/etc/passwd')", [], RefusedError),
        ("ATTACH 'x' AS y", [], HostError),
        ("SELECT ?", [], UsageError),
        ("SELECT ?", [{"$base64": "?"}], UsageError),
        ("SELECT ?", [["list"]], UsageError),
        ("SELECT 1; SELECT 2", [], HostError),
        ("SELEKT", [], HostError),
    ],
)
async def test_sql_that_reaches_too_far_or_makes_no_sense_is_refused(
    caller: Caller, statement: str, parameters: list[object], kind: type[HostError]
) -> None:
    with pytest.raises(kind):
        await caller.call(SQL, SqlRequest(statement=statement, parameters=parameters))
    assert (await caller.call(STATUS, StatusRequest())).held == 0


async def test_an_export_imported_elsewhere_gives_the_same_digests(
    caller: Caller, config: NodeConfig, tmp_path: Path
) -> None:
    kept, gone = await remember(caller, "kept: Grüße 🐦"), await remember(caller, "gone")
    exported = [event.line async for event in caller.stream(EXPORT, ExportRequest()) if isinstance(event, ExportLine)]
    assert not any("\n" in line for line in exported)
    file = tmp_path / "export.jsonl"
    file.write_text("\n".join(exported) + "\n")
    again = await import_file(caller, file)
    assert (again.added, again.unchanged, again.skipped) == (0, 2, 0)
    await caller.call(FORGET, ForgetRequest(id=gone))
    after = await import_file(caller, file)
    assert (after.added, after.unchanged, after.skipped) == (0, 1, 1)
    other = NodeConfig(home_directory=tmp_path / "other", device_cost=config.device_cost, owner_cost=config.owner_cost)
    init_home(other, name="Other", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    async with in_process(other) as elsewhere:
        assert (await import_file(elsewhere, file)).added == 2
        assert (await elsewhere.call(SHOW, ShowRequest(id=kept))).fields["content"] == "kept: Grüße 🐦"


async def test_a_malformed_import_names_the_line_and_adds_nothing(caller: Caller, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"content":"fine"}\n{"content":7}\n')
    with pytest.raises(InputError, match="line 2"):
        await import_file(caller, file)
    with pytest.raises(InputError, match="cannot be read"):
        await import_file(caller, tmp_path / "missing.jsonl")
    with pytest.raises(UsageError, match="locomo"):
        async for _ in caller.stream(IMPORT, ImportRequest(format="sqlite", path=str(file))):
            pass
    assert (await caller.call(LIST, ListRequest())).memories == []


async def test_status_and_devices_name_this_device(caller: Caller, initialised: Initialised) -> None:
    await remember(caller, "one")
    report = await caller.call(STATUS, StatusRequest())
    assert (report.device_id, report.name, report.realm_id) == (initialised.device_id, "Laptop", initialised.realm_id)
    assert (report.running, report.peers, report.conflicts, report.held) == (False, [], 0, 0)
    assert [(stream.name, stream.rows) for stream in report.streams] == [("memories", 1)]
    devices = (await caller.call(DEVICES, DevicesRequest())).devices
    assert [(device.name, device.active, device.this_device) for device in devices] == [("Laptop", True, True)]


async def test_pairing_without_a_node_says_that_one_is_needed(caller: Caller) -> None:
    with pytest.raises(NotRunningError, match="nuthatch run"):
        async for _ in caller.stream(PAIR, PairRequest(owner_passphrase=OWNER_PASSPHRASE)):
            pass
    with pytest.raises(NotRunningError):
        await caller.call(PAIR_ANSWER, PairAnswerRequest(accept=True))


async def test_changes_are_told_to_who_follows(config: NodeConfig, initialised: Initialised) -> None:
    async with over_http(config) as caller:
        events = caller.stream(EVENTS, EventsRequest())
        assert await anext(events) == Following()
        await remember(caller, "one")
        assert await anext(events) == RowsChanged(local=True, changes_by_table={"memories": 1})
        await events.aclose()


@pytest.mark.parametrize("text", ["", "   ", "\ud800"])
async def test_a_text_that_is_none_is_refused(config: NodeConfig, initialised: Initialised, text: str) -> None:
    async with in_process(config) as caller:
        with pytest.raises(HostError):
            await remember(caller, text)
        assert (await caller.call(LIST, ListRequest())).memories == []


async def test_a_second_process_is_told_that_the_home_is_owned(config: NodeConfig, initialised: Initialised) -> None:
    with (
        open_home(config, passphrase=PASSPHRASE),
        pytest.raises(StoreLockedError),
        open_home(config, passphrase=PASSPHRASE),
    ):
        pass


async def test_a_command_waits_for_another_that_owns_the_home_for_a_moment(
    config: NodeConfig, initialised: Initialised
) -> None:
    async def command() -> None:
        async with in_process(config) as caller:
            await remember(caller, "second")

    with open_home(config, passphrase=PASSPHRASE):
        waiting = asyncio.create_task(command())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_a_home_can_be_used_again_after_a_process_died_and_left_its_token_file(
    config: NodeConfig, initialised: Initialised
) -> None:
    Home(config.home_directory).api_file.write_text(json.dumps({"address": "127.0.0.1:1", "token": "old"}))
    async with in_process(config) as caller:
        await remember(caller, "one")


async def test_a_home_is_not_initialised_twice(config: NodeConfig, initialised: Initialised) -> None:
    before = {path.name: path.read_bytes() for path in config.home_directory.iterdir()}
    with pytest.raises(RefusedError, match="already holds a device"):
        init_home(config, name="Again", passphrase="other", owner_passphrase="other")
    assert {path.name: path.read_bytes() for path in config.home_directory.iterdir()} == before


@pytest.mark.parametrize("name", ["", " x", "x" * 65, "a\u202eb", "a\nb"])
async def test_a_name_that_disguises_itself_is_refused_and_leaves_nothing(config: NodeConfig, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        init_home(config, name=name, passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    assert not config.home_directory.exists()


async def test_a_wrong_passphrase_opens_nothing(config: NodeConfig, initialised: Initialised) -> None:
    with pytest.raises(WrongPassphraseError), open_home(config, passphrase=OWNER_PASSPHRASE):
        pass


async def test_a_store_under_another_key_is_told(config: NodeConfig, initialised: Initialised, tmp_path: Path) -> None:
    other = NodeConfig(home_directory=tmp_path / "other", device_cost=config.device_cost, owner_cost=config.owner_cost)
    init_home(other, name="Other", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    Home(config.home_directory).store_file.write_bytes(Home(other.home_directory).store_file.read_bytes())
    with pytest.raises(WrongKeyError), open_home(config, passphrase=PASSPHRASE):
        pass


async def test_a_home_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nuthatch init"):
        async with in_process(NodeConfig(home_directory=tmp_path)):
            pass


async def test_no_canary_stands_in_any_file_of_a_home_and_all_files_are_private(config: NodeConfig) -> None:
    canary = "canary-7f3a91"
    made = init_home(config, name=f"name {canary}", passphrase=f"device {canary}", owner_passphrase=f"owner {canary}")
    async with over_http(config, f"device {canary}") as caller:
        await caller.call(REMEMBER, RememberRequest(text=canary, namespace=canary, tags=[canary]))
        contents_while_running = {path: path.read_bytes() for path in config.home_directory.iterdir()}
    contents = {path: path.read_bytes() for path in config.home_directory.iterdir()}
    secrets = [canary.encode(), canary.encode("utf-16-le"), made.recovery_code.encode()]
    for content in (*contents_while_running.values(), *contents.values()):
        assert not any(secret in content for secret in secrets)
    for path in contents:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(config.home_directory.stat().st_mode) == 0o700
    assert made.recovery_code not in repr(made)
