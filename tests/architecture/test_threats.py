"""What THREATS.md claims is shown: every line of its tables names a test that exists, and every module does, too."""

import ast
import re

import pytest

from node.operations.table import OPERATION_BY_NAME, STREAM_BY_NAME
from tests.architecture.source_tree import PROJECT, sources

THREATS = (PROJECT / "sync" / "THREATS.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the cells of every line of a table that says what shows it."""
    shown: list[list[str]] = []
    width = 0
    for line in text.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[-1] == "shown by":
            width = len(cells)
        elif width and set(line) - set("|-"):
            shown.append(cells)
    return shown


def _named_tests(text: str) -> list[str]:
    return re.findall(r"`(test_\w+)`", text)


def _existing_tests() -> set[str]:
    return {
        item.name
        for source in sources(["tests"])
        for item in ast.walk(source.tree)
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and item.name.startswith("test_")
    }


def unshown(text: str) -> list[str]:
    """Return what is claimed by lines that name no test, and do not say that there is none."""
    return [cells[0] for cells in rows(text) if not _named_tests(cells[-1]) and cells[-1] != "none"]


def test_every_test_that_is_named_exists() -> None:
    named = _named_tests(THREATS)
    assert len(named) > 80
    assert sorted(set(named) - _existing_tests()) == []


def test_every_claim_names_a_test_or_says_that_there_is_none() -> None:
    assert len(rows(THREATS)) > 50
    assert unshown(THREATS) == []


def test_every_module_that_is_named_exists() -> None:
    named = re.findall(r"`((?:crdt|sync|node|simulations|tests)/[\w./]*)`", THREATS)
    assert named
    assert [path for path in named if not (PROJECT / path).exists()] == []


@pytest.mark.parametrize("claim", ["| x | y | `sync/noise.py` |", "| x | y |  |"])
def test_a_claim_without_a_test_would_be_seen(claim: str) -> None:
    assert unshown(f"| tries to | is stopped by | shown by |\n|---|---|---|\n{claim}\n") == ["x"]


def test_no_operation_of_a_running_node_takes_a_code() -> None:
    """A device that belongs shows codes and never reads one: there is no way in for a code of an attacker's."""
    requests = [operation.request for operation in OPERATION_BY_NAME.values()]
    requests += [stream.request for stream in STREAM_BY_NAME.values()]
    fields = {field for request in requests for field in request.__struct_fields__}
    assert "owner_passphrase" in fields
    assert not {field for field in fields if "code" in field}
    readers = {
        source.path
        for source in sources(["node"])
        for item in ast.walk(source.tree)
        if isinstance(item, ast.Name) and item.id == "read_code"
    }
    assert readers == {"node/joining.py", "node/cli/code_to_join_with.py"}
