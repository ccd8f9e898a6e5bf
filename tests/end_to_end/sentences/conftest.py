"""A home for each thing that goes wrong, which nobody else can reach meanwhile."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from node import reaching
from tests.support.in_process import answer
from tests.support.misfortunes import SAID, Scene
from tests.support.program import ENVIRONMENT


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("NUTHATCH_LOG_LEVEL", "error")
    monkeypatch.setenv("NUTHATCH_LOG_FILE_LEVEL", "off")
    monkeypatch.delenv("COLUMNS", raising=False)
    # Nobody starts a node meanwhile.
    monkeypatch.setattr(reaching, "SETTLING_SECONDS", 0.0)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    # A node that ran in this process logged to a standard error that is no more.
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sequence[str]]:
    """A home of one device and the ids of the two memories in it."""
    directory = tmp_path_factory.mktemp("sentences")
    file = directory / "passphrase"
    file.write_text(SAID)
    opens = ("--passphrase-file", str(file))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("NUTHATCH_PASSPHRASE_COST", "interactive")
        answer(directory / "home", "init", "--name", "desk", *opens)
        ids = [str(answer(directory / "home", "remember", text, *opens)["id"]) for text in ("Tea.", "Coffee.")]
    return directory / "home", ids


@pytest.fixture
def scene(original: tuple[Path, Sequence[str]], tmp_path: Path) -> Iterator[Scene]:
    home, ids = original
    shutil.copytree(home, tmp_path / "home")
    with ExitStack() as afterwards:
        yield Scene(directory=tmp_path, memory_ids=ids, afterwards=afterwards)
