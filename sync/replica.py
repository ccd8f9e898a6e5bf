"""Whether a verified batch may be applied now: the one decision every arriving batch passes.

Rules, in this order
1. What the frontier covers is a duplicate, unless its hash differs from the one held: then its author forked.
2. A batch must follow its author's last batch without a gap and name it by hash, or its author forked before.
3. Everything the author had seen (`deps`) must be held here first, as it was or as its author wrote it again. Where
   another batch is held under the number of one of them, its author forked; the batch waits until that is settled, for
   what it says of that chain (elements of sets that it removes, for one) would be taken for something else.
4. A batch from more than 24 h ahead is held, never clamped: clamping would break convergence.
5. A batch of a device that the roster does not know is held until the roster does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from crdt.hybrid_clock import hybrid_milliseconds
from sync.batch import BatchHeader
from sync.frontier import PREFIX_BYTES, Dependency, Frontier
from sync.identifiers import BatchHash
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX


class Verdict(Enum):
    """What is to be done with a batch."""

    APPLY = "apply"
    DUPLICATE = "duplicate"
    HOLD = "hold"
    FORK = "fork"


class Standing(Enum):
    """What a replica has of a batch that another builds on."""

    HELD = "held"
    MISSING = "missing"
    OTHERWISE = "held otherwise"


@dataclass(frozen=True, slots=True)
class Admission:
    """A verdict and, where it is not plain, one sentence that says why.

    `disputed` are batches that it builds on, and of which another version is held.
    """

    verdict: Verdict
    reason: str = ""
    disputed: tuple[Dependency, ...] = ()


OTHER_VERSION = "two versions exist of what it builds on"
UNKNOWN_AUTHOR = Admission(Verdict.HOLD, "its author is not a known device yet")


def admit(
    header: BatchHeader,
    batch_hash: BatchHash,
    frontier: Frontier,
    now_milliseconds: int,
    standing_of: Callable[[Dependency], Standing],
) -> Admission:
    """Return what to do with a batch whose signature was verified, at a replica that holds `frontier`.

    `standing_of` tells whether a batch that it builds on is held, as it was or in another one that stands for it.
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
    # Of its own chain `prev` has told already.
    standings = {dep: standing_of(dep) for dep in header.deps if dep.origin != header.origin}
    if disputed := tuple(dep for dep, standing in standings.items() if standing is Standing.OTHERWISE):
        return Admission(Verdict.HOLD, OTHER_VERSION, disputed)
    if Standing.MISSING in standings.values():
        return Admission(Verdict.HOLD, "a batch it builds on is missing")
    if hybrid_milliseconds(header.hlc) > now_milliseconds + CLOCK_AHEAD_MILLISECONDS_MAX:
        return Admission(Verdict.HOLD, "its clock is more than 24 hours ahead")
    return Admission(Verdict.APPLY)
