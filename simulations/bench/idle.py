"""What a node costs that does nothing: two connected devices, after one wrote and the other took many messages.

The figures are what the system counts of each process (/proc): resident memory, and processor time over a while.
"""

import os
import time
from pathlib import Path

from node.rest import QUIET_SECONDS
from simulations.bench.replicate import connected_pair
from simulations.bench.samples import Figure, figure

GOAL_MEGABYTES = 100
GOAL_PERCENT = 0.5
# A tick after the quiet time, and what giving back itself takes.
_REST_SECONDS = 3.0


def measure(*, records: int, seconds: float) -> list[Figure]:
    """Return memory and processor time of both nodes over `seconds` of rest, nothing where there is no /proc."""
    if not Path("/proc/self/statm").exists():
        return []
    with connected_pair(full_text=True) as pair:
        pair.ask(pair.sender, do="insert", rows=records)
        pair.require_equal(records)
        processes = [pair.sender.process_id, pair.receiver.process_id]
        busy_megabytes = [_resident_megabytes(process_id) for process_id in processes]
        time.sleep(QUIET_SECONDS + _REST_SECONDS)
        before = [_processor_seconds(process_id) for process_id in processes]
        time.sleep(seconds)
        spent = [_processor_seconds(process_id) for process_id in processes]
        percent = [100 * (after - start) / seconds for start, after in zip(before, spent, strict=True)]
        idle_megabytes = [_resident_megabytes(process_id) for process_id in processes]
    what = f"{records:,} rows, connected"
    return [
        figure(f"memory just after a bulk write, {what}", "MB", busy_megabytes),
        figure(f"memory at rest, {what}", "MB", idle_megabytes, goal=GOAL_MEGABYTES, better="less", percentile=100),
        figure(f"processor at rest, {what}", "%", percent, goal=GOAL_PERCENT, better="less", percentile=100),
    ]


def _resident_megabytes(process_id: int) -> float:
    pages = int(Path(f"/proc/{process_id}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _processor_seconds(process_id: int) -> float:
    # The name of the program stands in parentheses and may hold blanks; user and system time are fields 14 and 15.
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
