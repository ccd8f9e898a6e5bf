"""What a program reads with `--json` keeps its shape: fields may be added, none goes or changes its kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.in_process import performed
from tests.support.program import ENVIRONMENT

Shape = str | list["Shape"] | Mapping[str, "Shape"]

TEXT = "The key is under the third pot."
MEMORY: Shape = {
    "id": "str",
    "text": "str",
    "namespace": "str",
    "tags": ["str"],
    "created_at": "str",
    "updated_at": "str",
}
HIT: Shape = {
    "id": "str",
    "table": "str",
    "text": "str",
    "score": "float",
    "title": "null",
    "namespace": "str",
    "tags": ["str"],
    "speaker": "null",
    "created_at": "str",
}
ENTRY: Shape = {
    "version": "str",
    "id": "str",
    "table": "str",
    "what": "str",
    "label": "str",
    "device": "str",
    "device_id": "str",
    "at": "str",
    "fields": [{"column": "str", "before": "str", "after": "str"}],
}
STREAM: Shape = {"name": "str", "rows": "int", "digest": "str", "pending_in": "int", "pending_out": "int"}
STATUS: Shape = {
    "device_id": "str",
    "name": "str",
    "realm_id": "str",
    "running": "bool",
    "peers": [],
    "streams": [STREAM],
    "conflicts": "int",
    "held": "int",
    "derived": "int",
    "notices": [],
    "discovery": "str",
    "discovery_note": "str",
    "scrubbed": "null",
    "damaged": "int",
}
IMPORTED: Shape = {
    "event": "str",
    "format": "str",
    "added": "int",
    "unchanged": "int",
    "skipped": "int",
    "added_by_table": {"memories": "int"},
    "left_out": "int",
    "problems": [],
    "left_out_file": "null",
    "dry_run": "bool",
}
FORGOTTEN: Shape = {
    "id": "str",
    "table": "str",
    "dry_run": "bool",
    "rows_by_table": {"memories": "int"},
    "changes": "int",
    "conflicts": "int",
}
DEVICE: Shape = {"device_id": "str", "name": "str", "platform": "str", "active": "bool", "this_device": "bool"}
FIGURE: Shape = {"name": "str", "kind": "str", "says": "str", "samples": [{"value": "float", "labels": {}}]}
SETTING: Shape = {
    "name": "str",
    "value": ["str"],
    "said_by": "str",
    "default": [],
    "takes": "str",
    "variable": "str",
    "explanation": "str",
}
FINDING: Shape = {"name": "str", "state": "str", "says": "str", "mend": "str"}
SERVICE: Shape = {"installed": "bool", "running": "bool", "enabled": "bool", "supervisor": "str", "file": "str"}

# In this order, on one home. {id} stands for the memory's id, {here} for a directory, a trailing * opens the home.
ANSWERS: Sequence[tuple[str, int, Shape]] = (
    ("init --name desk *", 0, {"device_id": "str", "realm_id": "str", "recovery_code": "str"}),
    ("remember {text} --tag garden *", 0, {"id": "str"}),
    ("recall pot *", 0, {"results": [HIT]}),
    ("list *", 0, {"memories": [MEMORY]}),
    ("show {id} *", 0, {"id": "str", "table": "str", "fields": {"content": "str", "tags": ["str"]}, "version": "str"}),
    ("edit {id} --text Moved. *", 0, {"id": "str"}),
    ("log {id} *", 0, {"entries": [ENTRY]}),
    ("undo {id} *", 0, {"id": "str", "table": "str", "columns": ["str"]}),
    ("forget {id} --dry-run *", 0, FORGOTTEN),
    ("conflicts *", 0, {"open": "int", "conflicts": [], "name_clashes": []}),
    ("sql SELECT(7) *", 0, {"columns": ["str"], "rows": [["int"]], "changes": "int"}),
    ("import {here}/more.jsonl *", 0, IMPORTED),
    ("export --output {here}/all.jsonl *", 0, {"path": "str", "lines": "int"}),
    ("devices *", 0, {"devices": [DEVICE]}),
    ("status *", 0, STATUS),
    ("metrics *", 0, {"figures": [FIGURE]}),
    ("doctor *", 0, {"event": "str", "findings": [FINDING]}),
    ("config path", 0, {"path": "str", "exists": "bool"}),
    ("config set run.peers desk:4711", 0, {"path": "str", "settings": [SETTING]}),
    ("config show run.peers", 0, {"path": "str", "settings": [SETTING]}),
    ("config unset run.peers", 0, {"name": "str", "removed": "bool", "default": []}),
    ("completion fish", 0, {"shell": "str", "script": "str"}),
    ("service status", 4, SERVICE),
    ("--version", 0, {"version": "str"}),
    ("show {id}", 4, {"error": "str"}),
)


def shape(value: object) -> Shape:
    """Return the kinds of a JSON value; of a list that of its first entry, since all have one."""
    if isinstance(value, dict):
        return {str(name): shape(field) for name, field in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "null" if value is None else type(value).__name__


def lost(expected: Shape, found: Shape, path: str = "") -> list[str]:
    """Return where a shape lacks what is expected of it."""
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return [path]
        return [
            place
            for name, field in expected.items()
            for place in (lost(field, found[name], f"{path}.{name}") if name in found else [f"{path}.{name}"])
        ]
    if isinstance(expected, list) and isinstance(found, list):
        return lost(expected[0], found[0], f"{path}[]") if expected and found else [path][: bool(expected)]
    return [] if expected == found else [path]


def test_every_answer_has_the_fields_that_programs_rely_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "passphrase").write_text("secret\n")
    (tmp_path / "more.jsonl").write_text('{"content": "Tea is in the blue tin."}\n')
    opens = ("--passphrase-file", str(tmp_path / "passphrase"))
    memory_id = ""
    for line, exit_code, expected in ANSWERS:
        words = [word.format(id=memory_id, here=tmp_path, text=TEXT) for word in line.removesuffix("*").split()]
        outcome = performed(tmp_path / "home", *words, *(opens if line.endswith("*") else ()))
        assert outcome.exit_code == exit_code, (line, outcome)
        assert lost(expected, shape(outcome.last)) == [], line
        if words[0] == "remember":
            memory_id = str(outcome.last["id"])


def test_a_field_that_went_or_changed_its_kind_would_be_seen() -> None:
    found = shape({"memories": [{"id": 7, "text": "x", "tags": [], "new": True}]})
    assert lost({"memories": [MEMORY]}, found) == [
        *(".memories[].id", ".memories[].namespace", ".memories[].tags"),
        *(".memories[].created_at", ".memories[].updated_at"),
    ]
