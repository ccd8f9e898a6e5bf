"""Records and their log as a person reads them where nothing is coloured, as in a pipe."""

import msgspec
from rich.console import Console, RenderableType

from node.cli.history_rendering import render_log
from node.cli.rendering import render_imported, render_record
from node.requests import FieldChange, Imported, LogEntry, LogReport, Shown

ID = "0192f0c1-5a3e-7b1c-8d2e-3f4a5b6c7d8e"
AT = "2026-05-04T03:02:01.000Z"


def seen(drawn: RenderableType) -> str:
    """Return what is written into a pipe."""
    console = Console(width=60)
    with console.capture() as capture:
        console.print(drawn, crop=False)
    return capture.get()


def entry(what: str, label: str | None, *fields: FieldChange) -> LogEntry:
    return LogEntry(
        version="0123456789",
        id=ID,
        table="memories",
        what=what,
        label=label,
        device="laptop",
        device_id="00",
        at=AT,
        fields=list(fields),
    )


def test_the_log_tells_in_a_sentence_who_did_what() -> None:
    changed = FieldChange(column="content", before="The key is red.", after="The key is blue.")
    told = seen(render_log(LogReport(entries=[entry("forgotten", None), entry("changed", "The key", changed)])))
    assert "laptop forgot a record" in told
    assert "laptop changed The key" in told
    assert "The key is [-red-]{+blue+}." in told


def test_a_record_is_shown_with_the_version_that_an_edit_takes_unbroken() -> None:
    version = "abcdefghij" * 12
    told = seen(render_record(Shown(id=ID, table="memories", fields={"content": "The key."}, version=version)))
    assert version in told
    assert "nuthatch edit --base" in told


def imported(**fields: object) -> str:
    """Return what a person reads of an import."""
    counts = {"format": "chatgpt", "added": 1_201, "unchanged": 7, "skipped": 0, "added_by_table": {"messages": 1_201}}
    return seen(render_imported(msgspec.convert({**counts, **fields}, Imported)))


def test_an_import_tells_what_it_added_and_what_it_left_alone() -> None:
    assert imported(skipped=2) == (
        "Imported: 1,201 added, 7 already here, 2 left out because \nyou forgot them.\nchatgpt: 1,201 messages\n"
    )
    assert imported(dry_run=True).startswith("Would import: 1,201 added, 7 already here.\n")


def test_an_import_tells_what_could_not_be_read_where_and_why() -> None:
    path = "/home/sigrid/Downloads/a-long-way-down/conversations.json.left-out.jsonl"
    problems = [{"place": f"conversations.json, line {line}", "problem": "it is not\nvalid JSON"} for line in (3, 9)]
    told = imported(left_out=3, problems=problems, left_out_file=path)
    assert "3 records could not be read:\n  conversations.json, line 3: it is not valid JSON\n" in told
    assert "  …\n" in told
    assert path in told
