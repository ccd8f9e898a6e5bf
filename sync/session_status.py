"""Says in one plain line whether two replicas agree, and sums up one of them in 32 bytes for the other."""

from collections.abc import Collection

import msgspec

from sync.crypto import hash256
from sync.effects import PeerStatus
from sync.frontier import ReplicaView
from sync.session_positions import Positions
from sync.session_receiving import Receiving
from sync.streams import Stream
from sync.wire import encode_uint32, join_length_prefixed

_encode = msgspec.msgpack.Encoder().encode


def summary(roster_digest: bytes, view: ReplicaView) -> bytes:
    """Return 32 bytes that are equal exactly if roster, frontiers and digests are: BLAKE2b over all of them.

    Every stream takes part, empty or not, so that holding nothing of a stream is one thing and not two.
    """
    parts = [roster_digest]
    for stream in Stream:
        state = view.stream(stream)
        parts += [encode_uint32(stream), _encode(state.frontier.to_wire()), state.digest]
    return hash256(join_length_prefixed(parts), person=b"nuthatch-summary")


def explain(
    view: ReplicaView,
    positions: Positions,
    receiving: Receiving,
    opened: bool,
    blocked: str | None,
    forked: str | None,
    unrepaired: Collection[Stream],
) -> PeerStatus:
    """Return whether both ends agree and, if not, the most telling reason; the worst comes first.

    `blocked` says why nothing is sent, `forked` what is known of a chain of which two versions exist;
    `unrepaired` are streams whose rows were compared in vain.
    """
    if not opened:
        return PeerStatus(in_sync=False, why="comparing what both devices hold")
    if forked is not None:
        return _apart(forked)
    pending = positions.pending(view)
    diverged = positions.diverged(view) if receiving.snapshot is None else frozenset()
    incoming = sum(count.incoming for count in pending.values())
    outgoing = sum(count.outgoing for count in pending.values())
    if diverged:
        names = ", ".join(stream.title for stream in sorted(diverged))
        end = "comparing them" if diverged.isdisjoint(unrepaired) else "this is a defect, report it"
        return _apart(f"the rows of {names} differ although both hold the same changes; {end}")
    if receiving.refused is not None:
        return _apart(f"a change was refused: {receiving.refused}")
    if receiving.held_reason is not None:
        return _apart(f"{_counted(receiving.held_count)} held back: {receiving.held_reason}")
    if outgoing and blocked is not None:
        return _apart(blocked)
    if (snapshot := receiving.snapshot) is not None:
        return _apart(f"receiving the present state of {snapshot.stream.title}, {snapshot.rows} rows")
    if incoming and outgoing:
        return _apart(f"{_counted(incoming)} to receive, {outgoing} to send")
    if incoming or outgoing:
        return _apart(f"{_counted(incoming)} to receive" if incoming else f"{_counted(outgoing)} to send")
    return PeerStatus(in_sync=positions.agree(view), why="")


def _apart(why: str) -> PeerStatus:
    return PeerStatus(in_sync=False, why=why)


def _counted(count: int) -> str:
    return f"{count} change{'' if count == 1 else 's'}"
