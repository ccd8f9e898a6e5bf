"""A log line says what its record holds and nothing that a person wrote; the file turns over and stays private."""

import asyncio
import io
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.config import LogConfig
from node.errors import StorageError
from node.log_names import NOT_ON_SCREEN
from node.logs import configure_logging

CANARY = "canary-quagga-41TT"


@pytest.fixture(autouse=True)
def _untouched_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_what_the_screen_shows_otherwise_goes_into_the_file_alone(tmp_path: Path, stream: io.StringIO) -> None:
    configure_logging(LogConfig(level="info", file_level="info"), file=tmp_path / "node.log", stream=stream)
    logging.getLogger(NOT_ON_SCREEN).error("the node ended", extra={"reason": "a port is in use"})
    assert stream.getvalue() == ""
    assert "the node ended reason=a port is in use" in (tmp_path / "node.log").read_text()


def test_fields_of_a_record_follow_its_message(stream: io.StringIO) -> None:
    configure_logging(LogConfig(level="info"), stream=stream)
    logging.getLogger("node.transport").info("link closed", extra={"reason": "lost", "device": "7074a067"})
    assert stream.getvalue().endswith("INFO node.transport: link closed device=7074a067 reason=lost\n")


def test_only_warnings_are_shown_unless_asked_while_the_file_tells_more(stream: io.StringIO, tmp_path: Path) -> None:
    file = tmp_path / "node.log"
    configure_logging(LogConfig(file_level="info"), file=file, stream=stream)
    logging.getLogger("node").debug("detail")
    logging.getLogger("node").info("quiet")
    logging.getLogger("node").warning("loud")
    assert [line.split(": ")[1] for line in stream.getvalue().splitlines()] == ["loud"]
    assert [line.split(": ")[1] for line in file.read_text().splitlines()] == ["quiet", "loud"]


def test_a_line_break_forges_no_record(stream: io.StringIO) -> None:
    configure_logging(LogConfig(), stream=stream)
    logging.getLogger("node").warning("one\ntwo", extra={"reason": "three\r\nfour"})
    assert len(stream.getvalue().splitlines()) == 1


def fail_with(text: str) -> None:
    try:
        raise KeyError(text)
    except KeyError as error:
        raise StorageError("The store is full.") from error


def test_an_exception_is_told_by_its_classes_and_places_and_not_by_what_it_says(stream: io.StringIO) -> None:
    configure_logging(LogConfig(), stream=stream)
    try:
        fail_with(CANARY)
    except StorageError:
        logging.getLogger("node.api").exception("a defect ended a request")
    told = stream.getvalue()
    assert "StorageError: The store is full." in told
    assert "KeyError" in told
    assert f"{__file__}:" in told
    assert "in fail_with" in told
    assert CANARY not in told


def test_a_librarys_record_tells_its_template_and_place_and_not_what_it_was_given(stream: io.StringIO) -> None:
    configure_logging(LogConfig(), stream=stream)
    library = logging.getLogger("library.server")
    library.warning("cannot parse %s", CANARY, extra={"body": CANARY})
    library.warning(f"made of {CANARY}")
    first, second = stream.getvalue().splitlines()
    assert "library.server: cannot parse %s, told at test_logs:" in first
    assert "library.server: told at test_logs:" in second
    assert CANARY not in stream.getvalue()


async def test_a_task_whose_failure_nobody_awaited_tells_no_content(stream: io.StringIO) -> None:
    configure_logging(LogConfig(), stream=stream)
    asyncio.get_running_loop().call_soon(fail_with, CANARY)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "KeyError" in stream.getvalue()
    assert CANARY not in stream.getvalue()


def test_the_file_turns_over_and_the_oldest_goes(tmp_path: Path) -> None:
    config = LogConfig(file_level="info", file_bytes_max=4_096, files_max=3)
    configure_logging(config, file=tmp_path / "node.log", stream=io.StringIO())
    for number in range(500):
        logging.getLogger("node").info("record number %d", number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["node.log", "node.log.1", "node.log.2"]
    assert all(path.stat().st_size <= 4_096 for path in tmp_path.iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    kept = "".join((tmp_path / name).read_text() for name in reversed(files)).splitlines()
    numbers = [int(line.rsplit(" ", 1)[1]) for line in kept]
    assert numbers == list(range(numbers[0], 500))


def test_no_file_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    configure_logging(LogConfig(file_level=None), file=tmp_path / "node.log", stream=io.StringIO())
    logging.getLogger("node").error("loud")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_opened_is_an_error_and_one_that_breaks_later_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = LogConfig(file_level="info", file_bytes_max=4_096)
    with pytest.raises(StorageError, match="cannot be opened: No such file or directory"):
        configure_logging(config, file=tmp_path / "nowhere" / "node.log", stream=io.StringIO())
    folder = tmp_path / "home"
    folder.mkdir()
    configure_logging(config, file=folder / "node.log", stream=io.StringIO())
    (folder / "node.log").unlink()
    folder.rmdir()
    for _ in range(200):
        logging.getLogger("node").info("a record that makes the file turn over")
    assert capsys.readouterr().err.count("cannot be written") == 1
