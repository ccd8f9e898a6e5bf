"""Engines have one importer each, and the core reaches neither clock nor randomness nor the world."""

import re
import sys
import tomllib
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.architecture.import_rules import (
    IMPORTER_BY_ENGINE,
    allowed_libraries,
    imports,
    one_importer_for_each_engine,
    sans_io,
)
from tests.architecture.source_tree import CORE, PRODUCT, PROJECT, parse, sources

TOP_LEVEL = (*PRODUCT, "simulations")
# Where the distribution's name is not that of its module.
MODULE_BY_DISTRIBUTION = {"libsql-experimental": "libsql_experimental", "pynacl": "nacl", "pyyaml": "yaml"}


def test_each_engine_has_one_importer() -> None:
    violations = one_importer_for_each_engine(sources(TOP_LEVEL))
    assert not violations, "\n".join(violations)


def test_the_core_imports_only_its_few_libraries() -> None:
    violations = [violation for source in sources(CORE) for violation in allowed_libraries(source)]
    assert not violations, "\n".join(violations)


def test_the_core_is_sans_io() -> None:
    violations = [violation for source in sources(CORE) for violation in sans_io(source)]
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize("engine", sorted(IMPORTER_BY_ENGINE))
def test_a_second_importer_of_an_engine_is_seen(engine: str) -> None:
    planted = [parse(f"node/{name}.py", f"def lazily():\n    from {engine} import x\n") for name in ("one", "two")]
    assert one_importer_for_each_engine(planted)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("crdt/x.py", "import nacl.utils"),
        ("crdt/x.py", "from zstandard import ZstdCompressor"),
        ("crdt/x.py", "from sync.limits import FRAME_BYTES_MAX"),
        ("sync/x.py", "from node.clock import Clock"),
        ("sync/x.py", "import aiohttp"),
        ("sync/session.py", "import zstandard"),
    ],
)
def test_a_foreign_library_in_the_core_is_seen(path: str, text: str) -> None:
    assert allowed_libraries(parse(path, text))


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from random import randint",
        "def lazily():\n    import secrets",
        "from os import urandom",
        "import logging",
        "import asyncio",
        "async def wait(): ...",
        "at = datetime.now(UTC)",
        "at = datetime.datetime.now()",
        "at = date.today()",
        "key = nacl.utils.random_bytes(32)",
        "key = PrivateKey.generate()",
        "row = uuid.uuid4()",
        "data = open('file').read()",
        "print('seen')",
        "module = __import__('time')",
    ],
)
@pytest.mark.parametrize("package", CORE)
def test_a_planted_impurity_is_seen(package: str, text: str) -> None:
    assert sans_io(parse(f"{package}/x.py", text))


def test_what_only_looks_impure_is_let_through() -> None:
    lines = ("stamp = self._clock.now(wall)", "message = self._channel.open(frame)", "from hashlib import blake2b")
    assert not sans_io(parse("sync/x.py", "\n".join(lines)))


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_the_top_level_names_resolve_to_this_project(name: str) -> None:
    file = import_module(name).__file__
    assert file is not None
    assert Path(file).resolve() == PROJECT / name / "__init__.py"


def test_the_installed_command_starts_this_project() -> None:
    scripts = distribution("nuthatch").entry_points.select(group="console_scripts", name="nuthatch")
    assert [script.value for script in scripts] == ["node.__main__:main"]


def test_declared_dependencies_are_those_that_the_code_imports() -> None:
    declared = {MODULE_BY_DISTRIBUTION.get(name, name) for name in _requirements("dependencies")}
    imported = {name.split(".", 1)[0] for source in sources(PRODUCT) for _, name in imports(source)}
    assert imported - set(sys.stdlib_module_names) - set(PRODUCT) == declared


def test_every_requirement_is_pinned_and_no_pin_names_a_place() -> None:
    pins = [line for line in (PROJECT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all("==" in pin and "/" not in pin and "@" not in pin for pin in pins)
    required = _requirements("dependencies") | _requirements("optional-dependencies", "dev")
    assert required <= {_distribution_name(pin) for pin in pins}


def _requirements(*path: str) -> set[str]:
    """Names of the distributions listed at a path below `[project]`."""
    found: object = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    for key in path:
        assert isinstance(found, dict)
        found = found[key]
    assert isinstance(found, list)
    return {_distribution_name(requirement) for requirement in found}


def _distribution_name(requirement: str) -> str:
    return re.split(r"[<>=!~ ;\[]", requirement, maxsplit=1)[0].lower().replace("_", "-")
