"""One session between two devices: from the first handshake frame until both provably hold the same, and on from there.

    handshake ──▶ greeting ──▶ comparing ──▶ open ──▶ closed        (greeting ──▶ open where the summaries are equal)
            └──▶ unknown peer: may only prove by roster statements that it belongs, then greeting

Inputs are frames, results of effects, changes of the replica or the roster, and ticks; each returns the effects to
perform, in order. Rules
1. Nothing of the replica is said or used before the peer is proven to be an active member.
2. Batches flow only after both ends hold the same roster statements, and only under a key epoch that excludes nobody
   who is a member and includes nobody who is not.
3. An envelope is acknowledged after what it brought is committed. The frontier that goes with it, not the number, is
   what the peer may rely on: a batch that is held back is in no frontier.
4. After a RemoteProtocolError the session is closed and every later input returns nothing.
PROTOCOL.md section 7 is the specification. The two halves that send and receive have modules of their own.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from crdt.identifiers import DeviceId
from sync.channel import Channel
from sync.effects import (
    ClockDiffers,
    Close,
    Diverged,
    Effect,
    PeerIdentified,
    PeerStatus,
    SendFrame,
)
from sync.envelope import open_envelope
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.frontier import Frontier, ReplicaView
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX, SESSION_SECONDS_MAX, STATEMENTS_FROM_UNKNOWN_BYTES_MAX
from sync.membership import Membership
from sync.messages import (
    MESSAGE_BYTES_MAX,
    PROTOCOL_VERSION,
    Ack,
    Bundle,
    Hello,
    Message,
    Resend,
    SnapshotBegin,
    SnapshotEnd,
    SnapshotPage,
    State,
    StatementHashes,
    Statements,
)
from sync.session_handshake import SessionHandshake, SessionSecrets
from sync.session_positions import Pending, Positions
from sync.session_receiving import HeldBatch, Receiving
from sync.session_roster import RosterExchange
from sync.session_sending import SealedBundle, Sending
from sync.session_status import explain, summary
from sync.snapshot import Manifest
from sync.streams import Stream

# A peer that does not know us yet stays silent. After this long we show it the statements that say who we are.
INTRODUCE_AFTER_SECONDS = 1.0
# No Hello for this long after the handshake: the peer has nothing to say to us.
GREETING_SECONDS_MAX = 10.0
OWN_ADDRESS = "this is our own address"


class Phase(Enum):
    """How far a session has come."""

    HANDSHAKE = auto()
    UNKNOWN_PEER = auto()
    GREETING = auto()
    COMPARING = auto()
    OPEN = auto()
    CLOSED = auto()


class Session:
    """The state machine of one connection; the rules are in the module's docstring."""

    def __init__(
        self,
        *,
        initiator: bool,
        secrets: SessionSecrets,
        membership: Membership,
        view: ReplicaView,
        now_milliseconds: int,
    ) -> None:
        """`view` and `membership` are the replica's and the realm's state at `now_milliseconds` (ms since 1970)."""
        self._handshake = SessionHandshake(initiator=initiator, secrets=secrets)
        self._membership = membership
        self._view = view
        self._now_milliseconds = now_milliseconds
        self._elapsed_seconds = 0.0
        self._greeting_since_seconds = 0.0
        self._introduced = False
        self._phase = Phase.HANDSHAKE
        self._channel: Channel | None = None
        self._peer: DeviceId | None = None
        self._early_hello: Hello | None = None
        self._stated_view = view
        self._stated_membership = membership
        self._roster = RosterExchange()
        self._positions = Positions()
        self._sending = Sending()
        self._receiving = Receiving()
        self._status = PeerStatus(in_sync=False, why="")
        self._diverged: frozenset[Stream] = frozenset()
        self._told_diverged: frozenset[Stream] = frozenset()

    def phase(self) -> Phase:
        """Return how far the session has come."""
        return self._phase

    @property
    def peer(self) -> DeviceId | None:
        """The peer's device id once it is proven."""
        return self._peer

    def pending(self) -> Mapping[Stream, Pending]:
        """Return how many batches each stream still lacks at either end; empty before the session is open."""
        return self._positions.pending(self._view) if self._phase is Phase.OPEN else {}

    @property
    def held_count(self) -> int:
        """How many batches are held back."""
        return self._receiving.held_count

    # Inputs from the connection

    def start(self) -> list[Effect]:
        """The connection is up."""
        return [SendFrame(frame=frame) for frame in self._handshake.start()]

    def receive_frame(self, frame: bytes) -> list[Effect]:
        """Take one frame. Raises RemoteProtocolError, after which the session is closed and nothing was applied."""
        if self._phase is Phase.CLOSED:
            return []
        try:
            if self._channel is None:
                return self._shake_hands(frame)
            message = self._channel.open(frame)
            return [] if message is None else self._receive(message)
        except RemoteProtocolError:
            self._phase = Phase.CLOSED
            raise

    def close(self) -> None:
        """The connection is gone, or the runtime gives it up."""
        self._phase = Phase.CLOSED

    def _shake_hands(self, frame: bytes) -> list[Effect]:
        effects: list[Effect] = [SendFrame(frame=answer) for answer in self._handshake.receive(frame)]
        if self._handshake.done:
            self._channel = self._handshake.channel()
            effects += self._identify()
        return effects

    def _identify(self) -> list[Effect]:
        device_id = self._membership.roster.device_of_noise_key(self._handshake.remote_static)
        if device_id == self._membership.device_id:
            return self._end(OWN_ADDRESS)
        if device_id is not None and not self._membership.is_active(device_id):
            return self._end("the peer is not a member any more")
        if device_id is None:
            self._phase = Phase.UNKNOWN_PEER
            self._open_channel().message_bytes_max = STATEMENTS_FROM_UNKNOWN_BYTES_MAX
            return []
        self._peer = device_id
        self._phase = Phase.GREETING
        self._open_channel().message_bytes_max = MESSAGE_BYTES_MAX
        self._greeting_since_seconds = self._elapsed_seconds
        self._stated_view, self._stated_membership = self._view, self._membership
        hello = Hello(
            version=PROTOCOL_VERSION,
            now_milliseconds=self._now_milliseconds,
            summary=summary(self._membership.roster.digest, self._view),
        )
        early, self._early_hello = self._early_hello, None
        greeting: list[Effect] = [PeerIdentified(device_id=device_id), *self._send(hello)]
        return greeting + (self._greeted(early) if early is not None else [])

    # Messages of the peer

    def _receive(self, message: Message) -> list[Effect]:
        match message, self._phase:
            case Hello(), Phase.UNKNOWN_PEER if self._early_hello is None:
                self._early_hello = message
                return []
            case Hello(), Phase.GREETING:
                return self._greeted(message)
            case State(), Phase.COMPARING:
                return self._compared(message)
            case Statements(), _:
                group = self._roster.receive(message, known=self._peer is not None)
                return [] if group is None else [group]
            case _, Phase.OPEN:
                return self._receive_open(message)
            case _:
                raise RemoteProtocolError(f"the peer sent {type(message).__name__} out of turn")

    def _receive_open(self, message: Message) -> list[Effect]:
        match message:
            case StatementHashes():
                answer = self._roster.answer(message.hashes, self._membership)
                return [*self._send(*answer), *self._proceed()]
            case Bundle():
                return [self._receiving.bundle(message.number, self._open_envelope(message.envelope))]
            case Ack():
                self._sending.acknowledged(message.number)
                self._positions.moved(message.positions)
                return self._proceed()
            case Resend():
                self._sending.send_again()
                return self._proceed()
            case SnapshotBegin():
                self._receiving.snapshot_begin(message)
                return self._proceed()
            case SnapshotPage():
                return [self._receiving.snapshot_page(message.number, self._open_envelope(message.envelope))]
            case SnapshotEnd():
                return [self._receiving.snapshot_end(message)]
            case _:
                raise RemoteProtocolError(f"the peer sent {type(message).__name__} out of turn")

    def _greeted(self, hello: Hello) -> list[Effect]:
        if hello.version != PROTOCOL_VERSION:
            return self._end(f"the peer speaks version {hello.version} of the protocol, this device {PROTOCOL_VERSION}")
        effects: list[Effect] = []
        if abs(ahead := hello.now_milliseconds - self._now_milliseconds) > CLOCK_AHEAD_MILLISECONDS_MAX:
            effects.append(ClockDiffers(ahead_milliseconds=ahead))
        if hello.summary == summary(self._stated_membership.roster.digest, self._stated_view):
            self._positions.found_equal(self._stated_view)
            return [*effects, *self._open(rosters_equal=True)]
        self._phase = Phase.COMPARING
        self._stated_membership = self._membership
        positions = self._positions.tell(self._view)
        state = State(roster_digest=self._membership.roster.digest, positions=positions)
        return [*effects, *self._send(state), *self._report()]

    def _compared(self, state: State) -> list[Effect]:
        self._positions.moved(state.positions)
        return self._open(rosters_equal=state.roster_digest == self._stated_membership.roster.digest)

    def _open(self, *, rosters_equal: bool) -> list[Effect]:
        self._phase = Phase.OPEN
        if rosters_equal:
            self._roster.found_equal(self._stated_membership)
            news = self._send(*self._roster.tell_news(self._membership))
        else:
            news = self._send(self._roster.ask(self._membership))
        return [*news, *self._tell_positions(), *self._proceed()]

    # Results of effects

    def batches_read(self, stream: Stream, *, log_base: Frontier, bundle: SealedBundle | None) -> list[Effect]:
        """Answer to ReadBatches: what the log of `stream` starts behind, and the batches that follow."""
        return [*self._send(*self._sending.batches_read(stream, log_base, bundle)), *self._proceed()]

    def snapshot_opened(self, manifest: Manifest) -> list[Effect]:
        """Answer to OpenSnapshot."""
        return [*self._send(*self._sending.snapshot_opened(manifest)), *self._proceed()]

    def page_read(self, *, envelope: bytes, next_cursor: bytes | None) -> list[Effect]:
        """Answer to ReadPage: the sealed page and the cursor behind it, None after the last."""
        return [*self._send(*self._sending.page_read(envelope, next_cursor)), *self._proceed()]

    def batches_applied(
        self, number: int, *, view: ReplicaView, advanced: bool, held: Sequence[HeldBatch], refused: Sequence[str]
    ) -> list[Effect]:
        """Answer to ApplyBatches, after the commit: whether a stream `advanced`, what is held or refused."""
        self._view = view
        self._receiving.settle(held, refused)
        effects = self._acknowledge(number) if number else self._tell_positions()
        return [*effects, *self._proceed(), *(self._retry() if advanced else [])]

    def page_applied(self, number: int, *, view: ReplicaView) -> list[Effect]:
        """Answer to ApplyPage, after the commit."""
        self._view = view
        return [*self._acknowledge(number), *self._proceed()]

    def snapshot_adopted(self, *, view: ReplicaView) -> list[Effect]:
        """Answer to AdoptSnapshot, after the commit: batches that waited for what the snapshot brought may fit now."""
        self._view = view
        return [*self._tell_positions(), *self._proceed(), *self._retry()]

    def statements_applied(self, membership: Membership) -> list[Effect]:
        """Answer to ApplyStatements, after the commit."""
        if self._phase is Phase.UNKNOWN_PEER:
            self._membership = membership
            return self._identify()
        return [*self.membership_changed(membership), *self._retry()]

    # Changes that came from elsewhere

    def replica_changed(self, view: ReplicaView, *, push: bool) -> list[Effect]:
        """The replica moved on: tell the peer where it stands and, with `push`, send what it lacks."""
        self._view = view
        if self._phase is not Phase.OPEN:
            return []
        return [*self._tell_positions(), *(self._proceed() if push else self._report())]

    def membership_changed(self, membership: Membership) -> list[Effect]:
        """The roster moved on: a peer that was revoked is cut off at once, others hear the news."""
        self._membership = membership
        if self._phase is Phase.CLOSED or self._peer is None:
            return []
        if not membership.is_active(self._peer):
            return self._end("the peer is not a member any more")
        if self._phase is not Phase.OPEN:
            return []
        return [*self._send(*self._roster.tell_news(membership)), *self._proceed()]

    def tick(self, *, now_milliseconds: int, elapsed_seconds: float) -> list[Effect]:
        """Time passed: the wall clock (ms since 1970) and the age of this session (s). Call it about once a second."""
        self._now_milliseconds, self._elapsed_seconds = now_milliseconds, elapsed_seconds
        if elapsed_seconds > SESSION_SECONDS_MAX:
            return self._end("a session lasts a day; a new handshake brings fresh keys")
        if self._phase is Phase.OPEN:
            return self._tick_open()
        if self._phase not in (Phase.GREETING, Phase.UNKNOWN_PEER):
            return []
        waited_seconds = elapsed_seconds - self._greeting_since_seconds
        if waited_seconds > GREETING_SECONDS_MAX:
            return self._end("the peer did not greet: it may not know this device yet")
        if self._phase is Phase.GREETING and waited_seconds > INTRODUCE_AFTER_SECONDS and not self._introduced:
            self._introduced = True
            return self._send(*self._roster.introduction(self._membership))
        return []

    def _tick_open(self) -> list[Effect]:
        effects: list[Effect] = []
        diverged = self._positions.diverged(self._view) if self._receiving.snapshot is None else frozenset()
        # Positions of both ends cross on the wire: only what differs at two ticks in a row is a finding.
        found = (diverged & self._diverged) - self._told_diverged
        self._diverged = diverged
        self._told_diverged |= found
        effects += [Diverged(stream=stream) for stream in sorted(found)]
        if self._receiving.wants_resend():
            effects += self._send(Resend())
        return [*effects, *self._proceed(), *self._retry()]

    # What follows from the state

    def _proceed(self) -> list[Effect]:
        """Return the next reading, if anything may be sent now, and the status if it changed."""
        if self._phase is not Phase.OPEN:
            return []
        reading = self._sending.next_read(self._view, self._positions) if self._sending_blocked() is None else None
        return [*([reading] if reading is not None else []), *self._report()]

    def _sending_blocked(self) -> str | None:
        if not self._roster.complete:
            return "exchanging the list of devices"
        if self._peer is None or not self._membership.may_send(self._peer, self._now_milliseconds):
            return "not sending: this device was away too long and has not yet heard of a third one"
        if self._membership.sending is None:
            return "waiting for a new key epoch before sending"
        return None

    def _acknowledge(self, number: int) -> list[Effect]:
        return self._send(Ack(number=number, positions=self._positions.tell(self._view)))

    def _tell_positions(self) -> list[Effect]:
        positions = self._positions.tell(self._view)
        return self._send(Ack(number=0, positions=positions)) if positions else []

    def _report(self) -> list[Effect]:
        opened, blocked = self._phase is Phase.OPEN, self._sending_blocked()
        before, self._status = self._status, explain(self._view, self._positions, self._receiving, opened, blocked)
        return [self._status] if self._status != before else []

    def _open_envelope(self, envelope: bytes) -> list[bytes]:
        return open_envelope(
            realm_id=self._membership.realm_id,
            epoch_key_by_key_id=self._membership.epoch_key_by_key_id,
            raw=envelope,
        )

    def _retry(self) -> list[Effect]:
        retry = self._receiving.retry() if self._phase is Phase.OPEN else None
        return [retry] if retry is not None else []

    def _send(self, *messages: Message) -> list[Effect]:
        if self._phase is Phase.CLOSED:
            return []
        channel = self._open_channel()
        return [SendFrame(frame=frame) for message in messages for frame in channel.seal(message)]

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise LocalProtocolError("nothing can be sent before the handshake is done")
        return self._channel

    def _end(self, reason: str) -> list[Effect]:
        self._phase = Phase.CLOSED
        return [Close(reason=reason)]
