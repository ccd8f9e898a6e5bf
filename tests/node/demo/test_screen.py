"""The demonstration can be watched in a narrow window: nothing that is to be compared is cut off."""

import pytest
from rich.cells import cell_len
from rich.console import Console

from node.demo.findings import DevicePaired, Finding, Step, compare_streams
from node.demo.screen import render_finding
from node.requests import StreamReport

DIGEST = "0123456789abcdef" * 4
HELD = [StreamReport(name="conversations", rows=129, digest=DIGEST, pending_in=0, pending_out=0)]


def lines(finding: Finding, width: int) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(render_finding(finding), crop=False)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_digits_and_digests_are_whole(width: int) -> None:
    paired = lines(DevicePaired(name="phone", sas="119617", rows=2, seconds=3.44, network_bytes=4000), width)
    assert "119 617" in "\n".join(paired)
    agreement = lines(compare_streams({"laptop": HELD, "phone": HELD, "tablet": HELD}), width)
    [row] = [line for line in agreement if "conversations" in line]
    assert row.count(DIGEST[:4]) == 3
    assert row.rstrip().endswith("=")
    step = lines(Step(title="All three hold it, and agree", detail="161 rows, equal digests", seconds=0.1), width)
    assert "digests" in "".join(step)
    assert all(cell_len(line) <= width for line in (*paired, *agreement, *step))
