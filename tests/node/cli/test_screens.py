"""Records and their log as a person reads them where nothing is coloured, as in a pipe."""

from rich.console import Console, RenderableType

from node.cli.history_rendering import render_log
from node.cli.rendering import render_record
from node.requests import FieldChange, LogEntry, LogReport, Shown

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
