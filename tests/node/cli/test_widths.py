"""Screens fit into the columns that there are, whatever people write: long words, wide characters, emoji."""

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from node.cli.conflict_rendering import render_conflict, render_conflicts
from node.cli.device_rendering import render_devices, render_status
from node.cli.doctor_rendering import render_examined
from node.cli.history_rendering import render_log
from node.cli.rendering import render_memories, render_recalled, render_sql
from node.requests import (
    ConflictList,
    ConflictReport,
    ConflictVersion,
    DeviceList,
    DeviceReport,
    Examined,
    FieldChange,
    Finding,
    LogEntry,
    LogReport,
    MemoryList,
    MemoryReport,
    PeerReport,
    Recalled,
    RecallResult,
    SqlResult,
    StatusReport,
    StreamReport,
)

ID = "0192f0c1-5a3e-7b1c-8d2e-3f4a5b6c7d8e"
DEVICE_ID = "0123456789abcdef" * 4
AT = "2026-05-04T03:02:01.000Z"
WRITTEN = "👩‍👩‍👧 Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz 日本語のお茶は棚の上にあります。" * 3
VERSION = ConflictVersion(value=WRITTEN, device="the 茶室 desk", device_id=DEVICE_ID, at=AT)
CONFLICT = ConflictReport(
    key=DEVICE_ID,
    id=ID,
    table="memories",
    column="title",
    label=WRITTEN,
    state="open",
    choice=None,
    shown=VERSION,
    other=VERSION,
    done_by=None,
    done_at=None,
)
STATUS = StatusReport(
    device_id=DEVICE_ID,
    name="the 茶室 desk",
    realm_id=DEVICE_ID,
    running=True,
    peers=[
        PeerReport(
            device_id=DEVICE_ID, name="phone 📱", connected=True, in_sync=False, why="3 batches to come", last_seen=AT
        )
    ],
    streams=[
        StreamReport(name="conversations", rows=1_234_567, digest=DEVICE_ID, pending_in=3, pending_out=0),
        StreamReport(name="memories", rows=7, digest=DEVICE_ID, pending_in=0, pending_out=0),
    ],
    conflicts=2,
    held=1,
    derived=0,
    notices=[WRITTEN],
    discovery="looking",
    discovery_note="",
    scrubbed=None,
    damaged=0,
)
MEMORY = MemoryReport(id=ID, text=WRITTEN, namespace="default", tags=["茶", "friday"], created_at=AT, updated_at=AT)
HIT = RecallResult(
    id=ID,
    table="memories",
    text=WRITTEN,
    score=0.5,
    title=None,
    namespace="default",
    tags=[],
    speaker=None,
    created_at=AT,
)
ENTRY = LogEntry(
    version="0123456789",
    id=ID,
    table="memories",
    what="changed",
    label=WRITTEN,
    device="the 茶室 desk",
    device_id=DEVICE_ID,
    at=AT,
    fields=[FieldChange(column="content", before="Tee", after=WRITTEN)],
)
SCREENS: dict[str, RenderableType] = {
    "status": render_status(STATUS),
    "devices": render_devices(
        DeviceList(
            devices=[
                DeviceReport(device_id=DEVICE_ID, name="phone 📱", platform="linux", active=True, this_device=True)
            ]
        )
    ),
    "list": render_memories(MemoryList(memories=[MEMORY])),
    "recall": render_recalled(Recalled(results=[HIT])),
    "log": render_log(LogReport(entries=[ENTRY])),
    "conflicts": render_conflicts(ConflictList(open=1, conflicts=[CONFLICT], name_clashes=[])),
    "conflict": render_conflict(CONFLICT),
    "doctor": render_examined(Examined(findings=[Finding(name="home", state="bad", says=WRITTEN, mend=WRITTEN)])),
    "sql": render_sql(SqlResult(columns=["content", "uses"], rows=[[WRITTEN, 7]], changes=0)),
}


def _lines(drawn: RenderableType, width: int) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(drawn, crop=False)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("screen", SCREENS)
def test_no_line_is_longer_than_the_screen_is_wide(screen: str, width: int) -> None:
    lines = _lines(SCREENS[screen], width)
    assert lines
    assert max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_is_compared_by_eye_is_whole(width: int) -> None:
    for screen in ("status", "devices"):
        shown = "".join("".join(line.split()) for line in _lines(SCREENS[screen], width))
        assert DEVICE_ID in shown
    status = _lines(SCREENS["status"], width)
    [conversations] = [line for line in status if line.startswith("conversations")]
    assert "1,234,567" in conversations
    assert DEVICE_ID[:8] in conversations
    assert "3" in "".join(status).split("1,234,567")[1]
