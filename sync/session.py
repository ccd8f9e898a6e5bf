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
PROTOCOL.md section 7 is the specification. What happens once a session is open is `sync.session_exchange`'s.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum, auto

from crdt.identifiers import DeviceId, Origin
from sync.channel import Channel
from sync.effects import ClockDiffers, Close, Effect, PeerIdentified, ReadChain, SendFrame
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.frontier import Frontier, ReplicaView
from sync.identifiers import BatchHash
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX, SESSION_SECONDS_MAX, STATEMENTS_FROM_UNKNOWN_BYTES_MAX
from sync.membership import Membership
from sync.messages import MESSAGE_BYTES_MAX, PROTOCOL_VERSION, Hello, Message, State, Statements
from sync.row_ranges import RangeSum, RowRange
from sync.session_exchange import Exchange, Step
from sync.session_handshake import SessionHandshake, SessionSecrets
from sync.session_positions import Pending
from sync.session_receiving import HeldBatch
from sync.session_sending import SealedBundle
from sync.session_status import summary
from sync.snapshot import Manifest, RowKey
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
        self._exchange = Exchange(view, membership)

    def phase(self) -> Phase:
        """Return how far the session has come."""
        return self._phase

    @property
    def peer(self) -> DeviceId | None:
        """The peer's device id once it is proven."""
        return self._peer

    def pending(self) -> Mapping[Stream, Pending]:
        """Return how many batches each stream still lacks at either end; empty before the session is open."""
        return self._exchange.pending() if self._phase is Phase.OPEN else {}

    @property
    def held_count(self) -> int:
        """How many batches are held back."""
        return self._exchange.held_count

    @property
    def _membership(self) -> Membership:
        return self._exchange.membership

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
        self._stated_view, self._stated_membership = self._exchange.view, self._membership
        hello = Hello(
            version=PROTOCOL_VERSION,
            now_milliseconds=self._now_milliseconds,
            summary=summary(self._membership.roster.digest, self._stated_view),
        )
        early, self._early_hello = self._early_hello, None
        greeting: list[Effect] = [PeerIdentified(device_id=device_id), *self._take([hello])]
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
                group = self._exchange.roster.receive(message, known=self._peer is not None)
                return [] if group is None else [group]
            case _, Phase.OPEN:
                return self._take(self._exchange.receive(message))
            case _:
                raise RemoteProtocolError(f"the peer sent {type(message).__name__} out of turn")

    def _greeted(self, hello: Hello) -> list[Effect]:
        if hello.version != PROTOCOL_VERSION:
            return self._end(f"the peer speaks version {hello.version} of the protocol, this device {PROTOCOL_VERSION}")
        effects: list[Effect] = []
        if abs(ahead := hello.now_milliseconds - self._now_milliseconds) > CLOCK_AHEAD_MILLISECONDS_MAX:
            effects.append(ClockDiffers(ahead_milliseconds=ahead))
        if hello.summary == summary(self._stated_membership.roster.digest, self._stated_view):
            self._exchange.found_equal(self._stated_view)
            return [*effects, *self._open(rosters_equal=True)]
        self._phase = Phase.COMPARING
        self._stated_membership = self._exchange.membership
        return [*effects, *self._take([self._exchange.state(), *self._exchange.report()])]

    def _compared(self, state: State) -> list[Effect]:
        self._exchange.compared(state)
        return self._open(rosters_equal=state.roster_digest == self._stated_membership.roster.digest)

    def _open(self, *, rosters_equal: bool) -> list[Effect]:
        if self._peer is None:
            raise LocalProtocolError("a session opens with a peer that is known")
        self._phase = Phase.OPEN
        opening = self._exchange.open(
            self._peer, self._now_milliseconds, self._stated_membership, rosters_equal=rosters_equal
        )
        return self._take(opening)

    # Results of effects

    def batches_read(self, stream: Stream, *, log_base: Frontier, bundle: SealedBundle | None) -> list[Effect]:
        """Answer to ReadBatches: what the log of `stream` starts behind, and the batches that follow."""
        return self._take(self._exchange.batches_read(stream, log_base, bundle))

    def snapshot_opened(self, manifest: Manifest) -> list[Effect]:
        """Answer to OpenSnapshot."""
        return self._take(self._exchange.snapshot_opened(manifest))

    def page_read(self, *, envelope: bytes, next_cursor: RowKey | None) -> list[Effect]:
        """Answer to ReadPage: the sealed page and its last row, None after the last page."""
        return self._take(self._exchange.page_read(envelope, next_cursor))

    def snapshot_placed(self, after: RowKey | None) -> list[Effect]:
        """Answer to PlaceSnapshot: up to which row it is here already; None: another session is receiving it."""
        return self._take(self._exchange.snapshot_placed(after))

    def ranges_split(self, parts: Sequence[tuple[RowRange, RangeSum]], *, view: ReplicaView) -> list[Effect]:
        """Answer to SplitRanges: the parts with what is held in each."""
        return self._take(self._exchange.ranges_split(parts, view))

    def ranges_summed(self, sums: Sequence[RangeSum], *, view: ReplicaView) -> list[Effect]:
        """Answer to SumRanges."""
        return self._take(self._exchange.ranges_summed(sums, view))

    def repair_read(self, manifest: Manifest, *, envelope: bytes, rest: tuple[RowRange, ...]) -> list[Effect]:
        """Answer to ReadRepair: the sealed page, what it is of, and the ranges that are left."""
        return self._take(self._exchange.repair_read(manifest, envelope, rest))

    def batches_applied(
        self,
        number: int,
        *,
        view: ReplicaView,
        advanced: bool,
        held: Sequence[HeldBatch],
        refused: Sequence[str],
        forked: Collection[tuple[Stream, Origin, int]] = (),
    ) -> list[Effect]:
        """Answer to ApplyBatches, after the commit: whether a stream `advanced`, what is held or refused.

        `forked` names chains of which another version came than is held, each with a number that both ends hold.
        """
        return self._take(self._exchange.batches_applied(number, view, advanced, held, refused, forked))

    def chain_read(self, effect: ReadChain, *, hashes: Mapping[int, BatchHash], envelope: bytes) -> list[Effect]:
        """Answer to ReadChain: the hashes of what the log holds, and the batch wanted in an envelope, or nothing."""
        return self._take(self._exchange.chain_read(effect, hashes, envelope))

    def page_applied(self, number: int, *, view: ReplicaView) -> list[Effect]:
        """Answer to ApplyPage, after the commit."""
        return self._take(self._exchange.page_applied(number, view))

    def snapshot_adopted(self, number: int, *, view: ReplicaView) -> list[Effect]:
        """Answer to AdoptSnapshot, after the commit."""
        return self._take(self._exchange.snapshot_adopted(number, view))

    def statements_applied(self, membership: Membership) -> list[Effect]:
        """Answer to ApplyStatements, after the commit."""
        if self._phase is Phase.UNKNOWN_PEER:
            self._exchange.membership = membership
            return self._identify()
        return [*self.membership_changed(membership), *self._take(self._exchange.retry())]

    # Changes that came from elsewhere

    def replica_changed(self, view: ReplicaView, *, push: bool) -> list[Effect]:
        """The replica moved on: tell the peer where it stands and, with `push`, send what it lacks."""
        return self._take(self._exchange.replica_changed(view, push=push))

    def membership_changed(self, membership: Membership) -> list[Effect]:
        """The roster moved on: a peer that was revoked is cut off at once, others hear the news."""
        news = self._exchange.membership_changed(membership)
        if self._phase is Phase.CLOSED or self._peer is None:
            return []
        return self._take(news) if membership.is_active(self._peer) else self._end("the peer is not a member any more")

    def tick(self, *, now_milliseconds: int, elapsed_seconds: float) -> list[Effect]:
        """Time passed: the wall clock (ms since 1970) and the age of this session (s). Call it about once a second."""
        self._now_milliseconds, self._elapsed_seconds = now_milliseconds, elapsed_seconds
        if elapsed_seconds > SESSION_SECONDS_MAX:
            return self._end("a session lasts a day; a new handshake brings fresh keys")
        if self._phase is Phase.OPEN:
            return self._take(self._exchange.tick(now_milliseconds))
        if self._phase not in (Phase.GREETING, Phase.UNKNOWN_PEER):
            return []
        waited_seconds = elapsed_seconds - self._greeting_since_seconds
        if waited_seconds > GREETING_SECONDS_MAX:
            return self._end("the peer did not greet: it may not know this device yet")
        if self._phase is Phase.GREETING and waited_seconds > INTRODUCE_AFTER_SECONDS and not self._introduced:
            self._introduced = True
            return self._take(self._exchange.roster.introduction(self._membership))
        return []

    # What goes out

    def _take(self, steps: Iterable[Step]) -> list[Effect]:
        """Return the steps as effects, in order: messages become the frames that carry them."""
        if self._phase is Phase.CLOSED:
            return []
        effects: list[Effect] = []
        for step in steps:
            if isinstance(step, Message):
                effects += [SendFrame(frame=frame) for frame in self._open_channel().seal(step)]
            else:
                effects.append(step)
        return effects

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise LocalProtocolError("nothing can be sent before the handshake is done")
        return self._channel

    def _end(self, reason: str) -> list[Effect]:
        self._phase = Phase.CLOSED
        return [Close(reason=reason)]
