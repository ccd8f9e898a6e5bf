"""The open phase of a session: what both ends send, acknowledge and compare until they provably hold the same.

It speaks in messages and effects, in the order in which they are to be sent and performed; frames and phases are the
session's. Rules 2 and 3 of `sync.session` are kept here.
"""

from collections.abc import Collection, Mapping, Sequence

from crdt.identifiers import DeviceId, Origin, origin_device
from sync.effects import Diverged, Effect, PeerStatus, ReadChain, Repaired
from sync.envelope import open_envelope
from sync.errors import RemoteProtocolError
from sync.frontier import Frontier, ReplicaView
from sync.identifiers import BatchHash
from sync.membership import Membership
from sync.messages import (
    Ack,
    Bundle,
    ChainAnswer,
    ChainAsk,
    Message,
    RangesAnswer,
    RangesAsk,
    RepairPage,
    Resend,
    RowsAsk,
    SnapshotBegin,
    SnapshotDecline,
    SnapshotEnd,
    SnapshotFrom,
    SnapshotPage,
    State,
    StatementHashes,
)
from sync.row_ranges import RangeSum, RowRange
from sync.session_arrivals import Arrivals
from sync.session_chains import Chains
from sync.session_positions import Pending, Positions
from sync.session_receiving import HeldBatch, Receiving
from sync.session_repair import Repair
from sync.session_roster import RosterExchange
from sync.session_sending import SealedBundle, Sending
from sync.session_status import explain
from sync.snapshot import Manifest, RowKey
from sync.streams import Stream

#: Rows that still differ so long after it was noticed have not been mended by comparing them.
UNREPAIRED_MILLISECONDS = 20_000
#: A message to send or an effect to perform. Messages stand before effects that are answered: they are encrypted in
#: the order of the list, and what an answer sends comes after.
Step = Message | Effect


class Exchange:
    """The open phase of one session with `peer`; before `open` it only keeps what both ends state."""

    def __init__(self, view: ReplicaView, membership: Membership) -> None:
        """`view` and `membership` are this end's state now."""
        self.view = view
        self.membership = membership
        self.roster = RosterExchange()
        self._peer: DeviceId | None = None
        self._now_milliseconds = 0
        self._opened = False
        self._positions = Positions()
        self._arrivals = Arrivals()
        self._sending = Sending()
        self._receiving = Receiving()
        self._chains = Chains()
        self._status = PeerStatus(in_sync=False, why="")
        self._diverged: frozenset[Stream] = frozenset()
        self._told_diverged: frozenset[Stream] = frozenset()
        self._differs_since: dict[Stream, int] = {}
        self._repair = Repair()

    def pending(self) -> Mapping[Stream, Pending]:
        """Return how many batches each stream still lacks at either end; empty before the session is open."""
        return self._positions.pending(self.view) if self._opened else {}

    @property
    def held_count(self) -> int:
        """How many batches are held back."""
        return self._receiving.held_count

    # Comparing and opening

    def found_equal(self, view: ReplicaView) -> None:
        """The summaries were equal: the peer stands where `view` stands."""
        self._positions.found_equal(view)

    def state(self) -> State:
        """Return where this end stands, as a whole."""
        return State(roster_digest=self.membership.roster.digest, positions=self._positions.tell(self.view))

    def compared(self, state: State) -> None:
        """Take where the peer stands. Raises RemoteProtocolError if it is malformed."""
        self._positions.moved(state.positions)

    def open(self, peer: DeviceId, now_milliseconds: int, stated: Membership, *, rosters_equal: bool) -> list[Step]:
        """Both ends know where the other stands, this end having `stated` its roster: begin."""
        self._opened, self._peer, self._now_milliseconds = True, peer, now_milliseconds
        self._arrivals.expect(self.view, self._positions)
        news: list[Step] = []
        if rosters_equal:
            self.roster.found_equal(stated)
            news += self.roster.tell_news(self.membership)
        else:
            news.append(self.roster.ask(self.membership))
        return [*news, *self._tell_positions(), *self._suspected(), *self.proceed()]

    # Messages of the peer

    def receive(self, message: Message) -> list[Step]:
        """Take a message. Raises RemoteProtocolError if it may not come now."""
        match message:
            case StatementHashes():
                return [*self.roster.answer(message.hashes, self.membership), *self.proceed()]
            case Bundle():
                return [self._receiving.bundle(message.number, self._open_envelope(message.envelope))]
            case Ack():
                self._sending.acknowledged(message.number)
                self._positions.moved(message.positions)
                return [*self._suspected(), *self.proceed()]
            case Resend():
                self._sending.send_again()
                return self.proceed()
            case SnapshotBegin():
                return [self._receiving.snapshot_begin(message)]
            case SnapshotFrom():
                self._sending.snapshot_placed(message)
                return self.proceed()
            case SnapshotDecline():
                self._sending.snapshot_declined(message)
                return self.proceed()
            case SnapshotPage():
                return [self._receiving.snapshot_page(message.number, self._open_envelope(message.envelope))]
            case SnapshotEnd():
                return [self._receiving.snapshot_end(message)]
            case RangesAsk():
                return [self._repair.asked(message)]
            case RangesAnswer():
                steps, leaves = self._repair.answered(message)
                if leaves:
                    self._sending.repair(message.stream, leaves)
                return [*steps, *self.proceed()]
            case RowsAsk():
                self._sending.repair(message.stream, self._repair.wanted(message))
                return self.proceed()
            case RepairPage():
                return [self._receiving.repair_page(message, self._open_envelope(message.envelope))]
            case ChainAsk():
                return [*self._suspect_own(message), *self.report(), self._chains.asked(message)]
            case ChainAnswer():
                items = self._open_envelope(message.envelope) if message.envelope else ()
                return [self._chains.answered(message, items)]
            case _:
                raise RemoteProtocolError(f"the peer sent {type(message).__name__} out of turn")

    # Results of effects

    def batches_read(self, stream: Stream, log_base: Frontier, bundle: SealedBundle | None) -> list[Step]:
        """Answer to ReadBatches."""
        return [*self._sending.batches_read(stream, log_base, bundle), *self.proceed()]

    def snapshot_opened(self, manifest: Manifest) -> list[Step]:
        """Answer to OpenSnapshot."""
        return [*self._sending.snapshot_opened(manifest), *self.proceed()]

    def page_read(self, envelope: bytes, next_cursor: RowKey | None) -> list[Step]:
        """Answer to ReadPage."""
        return [*self._sending.page_read(envelope, next_cursor), *self.proceed()]

    def snapshot_placed(self, after: RowKey | None) -> list[Step]:
        """Answer to PlaceSnapshot."""
        return [self._receiving.snapshot_placed(after), *self.proceed()]

    def ranges_split(self, parts: Sequence[tuple[RowRange, RangeSum]], view: ReplicaView) -> list[Step]:
        """Answer to SplitRanges."""
        self.view = view
        return [*self._tell_positions(), *self._repair.split(parts), *self.proceed()]

    def ranges_summed(self, sums: Sequence[RangeSum], view: ReplicaView) -> list[Step]:
        """Answer to SumRanges."""
        self.view = view
        return [*self._tell_positions(), self._repair.summed(sums), *self.proceed()]

    def repair_read(self, manifest: Manifest, envelope: bytes, rest: tuple[RowRange, ...]) -> list[Step]:
        """Answer to ReadRepair."""
        return [*self._sending.repair_read(manifest, envelope, rest), *self.proceed()]

    def batches_applied(
        self,
        number: int,
        view: ReplicaView,
        advanced: bool,
        held: Sequence[HeldBatch],
        refused: Sequence[str],
        forked: Collection[tuple[Stream, Origin, int]],
    ) -> list[Step]:
        """Answer to ApplyBatches."""
        self._receiving.settle(held, refused)
        suspected = [step for suspicion in sorted(forked) for step in self._chains.suspect(*suspicion)]
        return [*suspected, *self._moved_to(view, number), *(self.retry() if advanced else [])]

    def chain_read(self, effect: ReadChain, hashes: Mapping[int, BatchHash], envelope: bytes) -> list[Step]:
        """Answer to ReadChain."""
        return [*self._chains.read(effect, hashes, envelope), *self.proceed()]

    def page_applied(self, number: int, view: ReplicaView) -> list[Step]:
        """Answer to ApplyPage."""
        return self._moved_to(view, number)

    def snapshot_adopted(self, number: int, view: ReplicaView) -> list[Step]:
        """Answer to AdoptSnapshot: batches that waited for what the snapshot brought may fit now."""
        return [*self._moved_to(view, number), *self.retry()]

    def _moved_to(self, view: ReplicaView, number: int) -> list[Step]:
        """The replica stands at `view` after the envelope `number` (0: after batches that were held)."""
        self.view = view
        told: list[Step] = [self._acknowledgement(number)] if number else self._tell_positions()
        return [*told, *self._arrivals.progress(view), *self.proceed()]

    # Changes that came from elsewhere

    def replica_changed(self, view: ReplicaView, *, push: bool) -> list[Step]:
        """The replica moved on: tell the peer where it stands and, with `push`, send what it lacks."""
        self.view = view
        if not self._opened:
            return []
        news = [*self._tell_positions(), *self._arrivals.progress(view)]
        return [*news, *(self.proceed() if push else self.report())]

    def membership_changed(self, membership: Membership) -> list[Step]:
        """The roster moved on."""
        self.membership = membership
        return [*self.roster.tell_news(membership), *self.proceed()] if self._opened else []

    def tick(self, now_milliseconds: int) -> list[Step]:
        """Time passed: ms since 1970."""
        self._now_milliseconds = now_milliseconds
        steps: list[Step] = []
        diverged = self._positions.diverged(self.view) if self._receiving.snapshot is None else frozenset()
        # Two versions of a chain make rows differ; that is found out and told in its own words.
        diverged = frozenset(stream for stream in diverged if not self._chains.concerns(stream))
        # Positions of both ends cross on the wire: only what differs at two ticks in a row is a finding.
        lasting, self._diverged = diverged & self._diverged, diverged
        steps += self._repair_or_tell(lasting, now_milliseconds)
        if self._receiving.wants_resend():
            steps.append(Resend())
        self._sending.time_passed()
        return [*steps, *self.proceed(), *self.retry()]

    def _repair_or_tell(self, lasting: frozenset[Stream], now_milliseconds: int) -> list[Step]:
        """Compare the rows of streams that differ; tell of those that are equal again, and of those that stay apart."""
        steps: list[Step] = []
        mended = [
            stream
            for stream in self._differs_since
            if self.view.stream(stream).agrees_with(self._positions.peer(stream))
        ]
        for stream in mended:
            del self._differs_since[stream]
            # Rows of a batch without words differ until the delete comes; that mends itself, and is no news.
            if self._repair.has_exchanged(stream):
                steps.append(Repaired(stream=stream))
        for stream in sorted(lasting):
            since = self._differs_since.setdefault(stream, now_milliseconds)
            if now_milliseconds - since >= UNREPAIRED_MILLISECONDS and stream not in self._told_diverged:
                self._told_diverged |= {stream}
                steps.append(Diverged(stream=stream))
            equal = self.view.stream(stream).frontier == self._positions.peer(stream).frontier
            if equal and self._peer is not None and self.membership.device_id < self._peer:
                steps += self._repair.begin(stream)
        return steps

    # What follows from the state

    def proceed(self) -> list[Step]:
        """Return the next reading, if anything may be sent now, and the status if it changed."""
        if not self._opened:
            return []
        reading = self._sending.next_read(self.view, self._positions) if self._sending_blocked() is None else None
        return [*([reading] if reading is not None else []), *self.report()]

    def report(self) -> list[Step]:
        """Return the status if it changed."""
        blocked = self._sending_blocked()
        before, self._status = (
            self._status,
            explain(
                self.view,
                self._positions,
                self._receiving,
                self._opened,
                blocked,
                self._chains.explain(self.membership.device_id),
                self._told_diverged,
            ),
        )
        return [self._status] if self._status != before else []

    def retry(self) -> list[Step]:
        """Return the held batches to be tried again, if there are any."""
        retry = self._receiving.retry() if self._opened else None
        return [retry] if retry is not None else []

    def _suspected(self) -> list[Step]:
        found = self._positions.forked(self.view)
        return [step for suspicion in found for step in self._chains.suspect(*suspicion)]

    def _suspect_own(self, ask: ChainAsk) -> list[Step]:
        """Compare a chain of this device that the peer asks about: nobody asks without having seen two versions."""
        origin = Origin(ask.origin)
        if origin_device(origin) != self.membership.device_id:
            return []
        both = (self.view.stream(ask.stream), self._positions.peer(ask.stream))
        steps: list[Step] = [*self._chains.suspect(ask.stream, origin, min(s.frontier.entry(origin).seq for s in both))]
        return steps

    def _sending_blocked(self) -> str | None:
        if not self.roster.complete:
            return "exchanging the list of devices"
        if self._peer is None or not self.membership.may_send(self._peer, self._now_milliseconds):
            return "not sending: this device was away too long and has not yet heard of a third one"
        if self.membership.sending is None:
            return "waiting for a new key epoch before sending"
        return None

    def _acknowledgement(self, number: int) -> Ack:
        return Ack(number=number, positions=self._positions.tell(self.view))

    def _tell_positions(self) -> list[Step]:
        positions = self._positions.tell(self.view)
        return [Ack(number=0, positions=positions)] if positions else []

    def _open_envelope(self, envelope: bytes) -> list[bytes]:
        return open_envelope(
            realm_id=self.membership.realm_id,
            epoch_key_by_key_id=self.membership.epoch_key_by_key_id,
            raw=envelope,
        )
