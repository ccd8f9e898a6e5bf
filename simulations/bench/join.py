"""How fast a device that joins comes up: all messages by snapshot against the bare loop, and when memories can be read.

The device that is joined has written everything before; the clock starts as the newcomer dials it, which is what
follows the confirmation of six digits, and stops when both provably hold the same.
"""

import time
from tempfile import TemporaryDirectory

from simulations.bench import bare_loop
from simulations.bench.processes import Child
from simulations.bench.samples import Figure, figure

RATIO_GOAL = 0.6
READABLE_SECONDS_GOAL = 1.0
COMPLETE_SECONDS_GOAL = 8.0
SECONDS_MAX = 180.0


def _join(kind: str, rows: int, *, full_text: bool) -> tuple[float, float]:
    """Return after how many seconds the newcomer could read, and after how many it held everything."""
    common = ["--founded-at", str(time.time_ns() // 1_000_000), *(["--full-text"] if full_text else [])]
    module = "simulations.bench.replica"
    with (
        TemporaryDirectory(prefix="nuthatch-bench-") as directory,
        Child(module, [directory, "--device", "0", *common], core=0) as joined,
    ):
        address = joined.hear(SECONDS_MAX)["listen"]
        joined.say(do="fill", kind=kind, rows=rows)
        joined.hear(SECONDS_MAX)
        with Child(module, [directory, "--device", "1", *common], core=1) as newcomer:
            newcomer.hear(SECONDS_MAX)
            newcomer.say(do="join", peer=address, kind=kind)
            answer = newcomer.hear(SECONDS_MAX)
            states: list[dict[str, object]] = []
            for child in (joined, newcomer):
                child.say(do="state")
                states.append(child.hear(SECONDS_MAX))
    if states[0] != states[1]:
        raise RuntimeError(f"The devices differ after the join: {states}.")
    readable_seconds, seconds = answer["readable_seconds"], answer["seconds"]
    assert isinstance(readable_seconds, float)
    assert isinstance(seconds, float)
    return readable_seconds, seconds


def measure(*, rounds: int, messages: int, memories: int) -> list[Figure]:
    """Return the rate of a join, its ratio to the bare loop, and how long memories take until readable and all here."""
    bare: list[float] = []
    rates: list[float] = []
    readable: list[float] = []
    complete: list[float] = []
    for _ in range(rounds):
        bare.append(bare_loop.measure(messages))
        rates.append(messages / _join("messages", messages, full_text=False)[1])
        readable_seconds, seconds = _join("memories", memories, full_text=True)
        readable.append(readable_seconds)
        complete.append(seconds)
    ratios = [mine / theirs for mine, theirs in zip(rates, bare, strict=True)]
    return [
        figure(f"join: {messages:,} messages by snapshot", "records/s", rates),
        figure("join by snapshot / bare loop", "ratio", ratios, goal=RATIO_GOAL),
        figure(
            f"join: the first of {memories:,} memories can be read, FTS on",
            "s",
            readable,
            goal=READABLE_SECONDS_GOAL,
            better="less",
        ),
        figure(
            f"join: all {memories:,} memories are here, FTS on",
            "s",
            complete,
            goal=COMPLETE_SECONDS_GOAL,
            better="less",
        ),
    ]
