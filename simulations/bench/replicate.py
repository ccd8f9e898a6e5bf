"""How fast messages written on one device become durable on another, against the bare loop in the same minutes.

Two processes with the real store and the real runtime, live: the receiver applies while the sender still writes. The
bare loop runs in turn with them, and the ratio is taken turn by turn.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from simulations.bench import bare_loop
from simulations.bench.processes import Child
from simulations.bench.samples import Figure, figure

GOAL = 0.4
SECONDS_MAX = 180.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two connected devices; what the sender is told to write comes to the receiver by itself."""

    sender: Child
    receiver: Child

    def ask(self, child: Child, **command: object) -> dict[str, object]:
        """Say a command and return its answer."""
        child.say(**command)
        return child.hear(SECONDS_MAX)

    def settle(self) -> None:
        """Wait until both say that they are in sync."""
        for child in (self.sender, self.receiver):
            self.ask(child, do="settle")

    def require_equal(self, messages: int) -> None:
        """Raise RuntimeError unless both hold the messages, and by equal digests."""
        ours, theirs = self.ask(self.sender, do="state"), self.ask(self.receiver, do="state")
        # The conversation itself is one more row of the stream.
        if ours != theirs or ours["rows"] != messages + 1:
            raise RuntimeError(f"The devices differ after {messages} messages: {ours} and {theirs}.")


@contextmanager
def connected_pair(*, full_text: bool, between: Callable[[str], str] = str) -> Iterator[Pair]:
    """Start two devices of one realm; the sender dials what `between` makes of the receiver's address."""
    founded_at = time.time_ns() // 1_000_000
    module = "simulations.bench.replica"
    common = ["--founded-at", str(founded_at), *(["--full-text"] if full_text else [])]
    with (
        TemporaryDirectory(prefix="nuthatch-bench-") as directory,
        Child(module, [directory, "--device", "1", *common], core=1) as receiver,
    ):
        address = between(str(receiver.hear(SECONDS_MAX)["listen"]))
        with Child(module, [directory, "--device", "0", "--peer", address, *common], core=0) as sender:
            sender.hear(SECONDS_MAX)
            yield Pair(sender, receiver)


def _rate(records: int, *, full_text: bool) -> tuple[float, float]:
    """Return records a second until the receiver holds all, and until the sender had written all."""
    with connected_pair(full_text=full_text) as pair:
        answer = pair.ask(pair.sender, do="insert", rows=records)
        pair.require_equal(records)
    seconds, written_seconds = answer["seconds"], answer["written_seconds"]
    assert isinstance(seconds, float)
    assert isinstance(written_seconds, float)
    return records / seconds, records / written_seconds


def measure(*, rounds: int, records: int) -> list[Figure]:
    """Return the rates of the bare loop, of Nuthatch without and with full-text search, and their ratios."""
    bare: list[float] = []
    rates: dict[bool, list[float]] = {False: [], True: []}
    written: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        bare.append(bare_loop.measure(records))
        for full_text in rates:
            rate, written_rate = _rate(records, full_text=full_text)
            rates[full_text].append(rate)
            written[full_text].append(written_rate)
    figures = [figure("bare loop, keyed, live", "records/s", bare)]
    for full_text, suffix in ((False, "FTS off"), (True, "FTS on")):
        ratios = [mine / theirs for mine, theirs in zip(rates[full_text], bare, strict=True)]
        figures += [
            figure(f"messages A→B durable on both, {suffix}", "records/s", rates[full_text]),
            figure(f"of which written on A, {suffix}", "records/s", written[full_text]),
            figure(f"A→B / bare loop, {suffix}", "ratio", ratios, goal=None if full_text else GOAL),
        ]
    return figures
