"""The whole examination on real homes: at rest, behind the local API, damaged, and not to be opened."""

import asyncio
import io
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.console import Console

from node.cli.doctor_rendering import render_examined
from node.clock import SystemClock
from node.composition import init_home, open_home, open_service
from node.config import NodeConfig
from node.entropy import SystemEntropy
from node.errors import HostError
from node.home import Home
from node.keys.key_file import unlock_key_file
from node.operations.table import LocalCaller
from node.requests import (
    DOCTOR,
    REMEMBER,
    STATUS,
    Caller,
    DoctorRequest,
    Examined,
    Finding,
    RememberRequest,
    StatusRequest,
)
from node.service import closing
from node.store.health import StoreHealth
from tests.support.damage import PAGE_BYTES, flip_bits, tamper
from tests.support.two_devices import OWNER_PASSPHRASE, PASSPHRASE, config_of, node

TEXTS = 40


async def examine(caller: Caller, request: DoctorRequest) -> dict[str, Finding]:
    """Return the findings by name."""
    async for event in caller.stream(DOCTOR, request):
        if isinstance(event, Examined):
            names = [finding.name for finding in event.findings if finding.name != "mended"]
            assert len(set(names)) == len(names)
            return {finding.name: finding for finding in event.findings}
        assert event.done <= event.total
    raise AssertionError("an examination ends with its findings")


def broken(findings: dict[str, Finding]) -> dict[str, Finding]:
    """Return what is broken; each says what mends it."""
    assert all(finding.mend for finding in findings.values() if finding.state == "bad")
    return {name: finding for name, finding in findings.items() if finding.state == "bad"}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with some memories."""
    directory = tmp_path_factory.mktemp("doctor") / "home"
    init_home(config_of(directory), name="laptop", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)

    async def fill() -> None:
        with open_home(config_of(directory), passphrase=PASSPHRASE) as service:
            for number in range(TEXTS):
                await LocalCaller(service).call(REMEMBER, RememberRequest(text=f"text number {number}"))

    asyncio.run(fill())
    return directory


@pytest.fixture
def config(sound: Path, tmp_path: Path) -> NodeConfig:
    """A copy of it."""
    shutil.copytree(sound, tmp_path / "home")
    return config_of(tmp_path / "home")


@asynccontextmanager
async def opened(config: NodeConfig) -> AsyncIterator[Caller]:
    """Open a home as a command does."""
    with open_home(config, passphrase=PASSPHRASE) as service:
        yield LocalCaller(service)


async def at_rest(config: NodeConfig, request: DoctorRequest) -> dict[str, Finding]:
    """Examine a home on which no node runs."""
    async with opened(config) as caller:
        return await examine(caller, request)


def store_key(config: NodeConfig) -> bytes:
    """Return the key of a home's store."""
    with open_home(config, passphrase=PASSPHRASE) as service:
        return service.keys.master_key.database_key


async def test_a_sound_home_has_nothing_broken_and_keeps_the_time_of_the_scrub(config: NodeConfig) -> None:
    findings = await at_rest(config, DoctorRequest())
    assert broken(findings) == {}
    assert findings["rows"].mend == "nuthatch doctor --scrub"
    findings = await at_rest(config, DoctorRequest(scrub=True))
    assert broken(findings) == {}
    assert f"{TEXTS} rows" in findings["rows"].says
    findings = await at_rest(config, DoctorRequest())
    assert findings["rows"].state == "good"
    async with opened(config) as caller:
        status = await caller.call(STATUS, StatusRequest())
    assert (status.scrubbed is not None, status.damaged) == (True, 0)


async def test_a_running_node_examines_itself_and_answers_others_meanwhile(config: NodeConfig) -> None:
    async with node(config) as (client, _):
        findings = await examine(client, DoctorRequest(scrub=True))
        assert broken(findings) == {}
        assert findings["owner"].says == "A node runs on it."
        assert findings["port"].state == "good"
        several = [examine(client, DoctorRequest(scrub=True)) for _ in range(3)]
        for answer in await asyncio.gather(*several):
            assert broken(answer) == {}


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("UPDATE memories SET content = 'another' WHERE rowid = 3", "rows"),
        ("DELETE FROM _row_memories WHERE id = (SELECT id FROM memories WHERE rowid = 4)", "rows"),
        ("UPDATE _stream SET digest = zeroblob(32)", "digests"),
        ("UPDATE _batch SET raw = zeroblob(99) WHERE position = 9", "change log"),
        ("DELETE FROM _fts_memories WHERE rowid = 5", "search"),
        ("DROP INDEX _conflict_by_row", "tables"),
        ("ALTER TABLE _statement ADD COLUMN extra TEXT", "tables"),
    ],
)
async def test_damage_behind_the_back_of_the_program_is_told_with_what_mends_it(
    config: NodeConfig, statement: str, name: str
) -> None:
    tamper(config.home_directory / "store.db", statement, key=store_key(config))
    findings = await at_rest(config, DoctorRequest(scrub=True))
    assert name in broken(findings)


async def test_damage_that_a_scrub_found_is_told_again_by_every_later_examination(config: NodeConfig) -> None:
    tamper(
        config.home_directory / "store.db", "UPDATE memories SET content = 'x' WHERE rowid = 3", key=store_key(config)
    )
    await at_rest(config, DoctorRequest(scrub=True))
    assert "rows" in broken(await at_rest(config, DoctorRequest()))
    async with opened(config) as caller:
        assert (await caller.call(STATUS, StatusRequest())).damaged >= 1


async def test_a_port_in_use_and_a_free_one_are_told_apart(config: NodeConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        findings = await at_rest(config, DoctorRequest(listen=address))
        assert address in broken(findings)["port"].says
    assert "port" not in broken(await at_rest(config, DoctorRequest(listen=address)))
    assert "port" in broken(await at_rest(config, DoctorRequest(listen="nowhere")))


async def test_a_clock_before_the_latest_change_is_found(config: NodeConfig) -> None:
    with open_home(config, passphrase=PASSPHRASE) as service:
        now = service.clock.now_milliseconds()

        class Behind:
            """A clock that was set back by three days."""

            def now_milliseconds(self) -> int:
                return now - 3 * 86_400_000

            def monotonic_seconds(self) -> float:
                return 0.0

        service.clock = Behind()
        findings = await examine(LocalCaller(service), DoctorRequest())
        assert "nuthatch doctor --restamp" in broken(findings)["clock"].mend
        findings = await examine(LocalCaller(service), DoctorRequest(restamp=True))
        assert "got times of now" in findings["restamp"].says
        assert broken(findings) == {}
        findings = await examine(LocalCaller(service), DoctorRequest(restamp=True))
        assert "nothing was written again" in findings["restamp"].says


async def test_a_missing_mark_is_told(config: NodeConfig) -> None:
    async with opened(config) as caller:
        (config.home_directory / "store.db.mark").unlink()
        assert "mark" in broken(await examine(caller, DoctorRequest()))


async def test_a_large_store_is_not_checked_page_by_page_while_the_node_runs(
    config: NodeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.doctor.store_checks.PAGES_BYTES_MAX_WHILE_RUNNING", 1000)
    monkeypatch.setattr(StoreHealth, "page_errors", lambda _self: pytest.fail("the node would answer nobody"))
    async with node(config) as (client, _):
        assert (await examine(client, DoctorRequest()))["pages"].state == "unknown"


def test_every_state_has_its_mark_and_the_judgement_stands_at_the_end() -> None:
    findings = [
        Finding(name="home", state="good", says="It is yours."),
        Finding(name="rows", state="bad", says="A row \x1b[31mis not\x1b[0m.", mend="nuthatch doctor --repair"),
        Finding(name="pages", state="unknown", says="Not told.", mend="Stop the node."),
    ]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render_examined(Examined(findings=findings)))
    text = console.export_text()
    assert "\x1b" not in text
    assert text.rstrip().endswith("One thing is broken: do what stands after →.")
    assert "→ nuthatch doctor --repair" in text


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("UPDATE _stream SET digest = zeroblob(32)", "digests"),
        ("UPDATE _stream SET rows = 1", "digests"),
        ("DELETE FROM _fts_memories WHERE rowid > 5", "search"),
        ("DROP TABLE _fts_memories", "search"),
    ],
)
async def test_what_this_device_can_mend_alone_is_mended_and_proved(
    config: NodeConfig, statement: str, name: str
) -> None:
    tamper(config.home_directory / "store.db", statement, key=store_key(config))
    findings = await at_rest(config, DoctorRequest(scrub=True))
    assert "--repair" in broken(findings)[name].mend
    findings = await at_rest(config, DoctorRequest(repair=True))
    assert broken(findings) == {}
    assert findings["mended"].state == "notice"
    assert broken(await at_rest(config, DoctorRequest(scrub=True))) == {}


async def test_repair_closes_the_home_to_others(config: NodeConfig) -> None:
    config.home_directory.chmod(0o755)
    (config.home_directory / "device.key").chmod(0o644)
    findings = await at_rest(config, DoctorRequest(repair=True))
    assert broken(findings) == {}
    assert "device.key" in findings["mended"].says


async def test_a_damaged_row_on_a_lone_device_is_rebuilt_from_its_log(config: NodeConfig) -> None:
    key = store_key(config)
    statement = "UPDATE memories SET content = CAST(x'ff' AS TEXT) WHERE rowid = 3"
    tamper(config.home_directory / "store.db", statement, key=key)
    findings = await at_rest(config, DoctorRequest(repair=True))
    assert broken(findings) == {}
    assert findings["mended"].state == "notice"
    with open_home(config, passphrase=PASSPHRASE) as service:
        contents = [row[0] for row in service.store.query("SELECT content FROM memories")]
        assert len(contents) == len(set(contents))
        assert all(content.startswith("text number ") for content in contents)


async def test_a_damaged_row_that_no_other_device_and_no_log_holds_is_left_as_it_is(config: NodeConfig) -> None:
    key = store_key(config)
    statement = "UPDATE memories SET content = 'text number kept' WHERE rowid = 3"
    tamper(config.home_directory / "store.db", statement, "UPDATE _batch SET raw = zeroblob(100)", key=key)
    findings = await at_rest(config, DoctorRequest(repair=True))
    assert "rows" in broken(findings)
    assert "mended" not in findings
    with open_home(config, passphrase=PASSPHRASE) as service:
        assert service.store.query("SELECT content FROM memories WHERE rowid = 3") == [("text number kept",)]


async def test_damaged_statements_of_the_realm_are_told_and_taken_out(config: NodeConfig) -> None:
    key = store_key(config)
    # A second, younger statement is damaged: without the one that founded the realm no home can be opened.
    statement = "INSERT INTO _statement VALUES (x'00', x'c0ffee')"
    tamper(config.home_directory / "store.db", statement, key=key)
    assert "members" in broken(await at_rest(config, DoctorRequest()))
    findings = await at_rest(config, DoctorRequest(repair=True))
    assert broken(findings) == {}
    assert "1 damaged statement" in findings["mended"].says


async def test_a_realm_that_cannot_be_evaluated_is_a_finding(config: NodeConfig) -> None:
    statement = "UPDATE _statement SET raw = zeroblob(100)"
    tamper(config.home_directory / "store.db", statement, key=store_key(config))
    for request in (DoctorRequest(), DoctorRequest(scrub=True)):
        assert "realm is damaged" in broken(await at_rest(config, request))["store"].says


async def test_a_flipped_bit_anywhere_ends_in_findings_or_a_refusal_and_never_in_a_defect(config: NodeConfig) -> None:
    home = Home(config.home_directory)
    keys = unlock_key_file(home.key_file, passphrase=PASSPHRASE)
    sound = home.store_file.read_bytes()
    outcomes: set[str] = set()
    for page in range(0, len(sound) // PAGE_BYTES, 9):
        home.store_file.write_bytes(sound)
        flip_bits(home.store_file, page, at=PAGE_BYTES - 24)
        try:
            with closing(open_service(home, keys, SystemClock(), SystemEntropy())) as service:
                findings = await examine(LocalCaller(service), DoctorRequest(scrub=True, repair=page % 2 == 0))
                outcomes.add("broken" if broken(findings) else "well")
        except HostError:
            outcomes.add("refused")
    assert outcomes == {"broken", "refused", "well"}
