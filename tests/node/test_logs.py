"""A log line says what its record holds, and an unknown level is refused."""

import io
import logging
from collections.abc import Iterator

import pytest

from node.errors import ConfigError
from node.logs import configure_logging


@pytest.fixture(autouse=True)
def _untouched_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_fields_of_a_record_follow_its_message() -> None:
    stream = io.StringIO()
    configure_logging({"NUTHATCH_LOG_LEVEL": "info"}, stream)
    logging.getLogger("node.transport").info("link closed", extra={"reason": "lost", "device": "7074a067"})
    assert stream.getvalue().endswith("INFO node.transport: link closed device=7074a067 reason=lost\n")


def test_only_warnings_are_logged_unless_asked() -> None:
    stream = io.StringIO()
    configure_logging({}, stream)
    logging.getLogger("node").info("quiet")
    logging.getLogger("node").warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="NUTHATCH_LOG_LEVEL"):
        configure_logging({"NUTHATCH_LOG_LEVEL": "chatty"})
