"""Whether a verified batch may be applied now: the one decision every arriving batch passes.

Rules, in this order
1. What the frontier covers is a duplicate, unless its hash differs from the one held: then its author forked.
2. A batch must follow its author's last batch without a gap and name it by hash, or its author forked before.
3. Everything the author had seen (`deps`) must be held here first, as it was or as its author wrote it again.
4. A batch from more than 24 h ahead is held, never clamped: clamping would break convergence.
5. A batch of a device that the roster does not know is held until the roster does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from crdt.hybrid_clock import hybrid_milliseconds
from crdt.identifiers import Origin
from sync.batch import BatchHeader
from sync.frontier import PREFIX_BYTES, Frontier
from sync.identifiers import BatchHash
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX


class Verdict(Enum):
    """What is to be done with a batch."""

    APPLY = "apply"
    DUPLICATE = "duplicate"
    HOLD = "hold"
    FORK = "fork"


@dataclass(frozen=True, slots=True)
class Admission:
    """A verdict and, where it is not plain, one sentence that says why."""

    verdict: Verdict
    reason: str = ""


UNKNOWN_AUTHOR = Admission(Verdict.HOLD, "its author is not a known device yet")


def admit(
    header: BatchHeader,
    batch_hash: BatchHash,
    frontier: Frontier,
    now_milliseconds: int,
    written_again: Callable[[Origin, int], bool] = lambda origin, seq: False,
) -> Admission:
    """Return what to do with a batch whose signature was verified, at a replica that holds `frontier`.

    `written_again` tells whether a batch that `frontier` does not cover is held in another one that stands for it.
    """
    held = frontier.entry(header.origin)
    if header.seq <= held.seq:
        if header.seq == held.seq and batch_hash[:PREFIX_BYTES] != held.prefix:
            return Admission(Verdict.FORK, "its author wrote two different batches under one number")
        return Admission(Verdict.DUPLICATE)
    if header.seq > held.seq + 1:
        return Admission(Verdict.HOLD, "an earlier batch of the same device is missing")
    if header.prev[:PREFIX_BYTES] != held.prefix:
        return Admission(Verdict.FORK, "it does not follow the batch that is held of its author")
    if not all(frontier.covers(origin, seq) or written_again(origin, seq) for origin, seq in header.deps):
        return Admission(Verdict.HOLD, "a batch it builds on is missing")
    if hybrid_milliseconds(header.hlc) > now_milliseconds + CLOCK_AHEAD_MILLISECONDS_MAX:
        return Admission(Verdict.HOLD, "its clock is more than 24 hours ahead")
    return Admission(Verdict.APPLY)
