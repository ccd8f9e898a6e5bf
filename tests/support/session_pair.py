"""Two real sessions back to back: real Noise, real envelopes, a memory replica at each end, frames in two queues."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from crdt.identifiers import DeviceId
from sync.effects import (
    AdoptSnapshot,
    ApplyBatches,
    ApplyPage,
    ApplyRepair,
    ApplyStatements,
    ClockDiffers,
    Close,
    Diverged,
    Effect,
    ForkFound,
    OpenSnapshot,
    PeerIdentified,
    PeerStatus,
    PlaceSnapshot,
    ReadBatches,
    ReadChain,
    ReadPage,
    ReadRepair,
    Repaired,
    SendFrame,
    SplitRanges,
    StreamComplete,
    StreamReadable,
    SumRanges,
)
from sync.envelope import seal_envelope
from sync.errors import RemoteProtocolError
from sync.frontier import Frontier, FrontierEntry
from sync.identity import DeviceKeys
from sync.membership import Membership, open_membership
from sync.session import Session
from sync.session_handshake import SessionSecrets
from sync.session_sending import SealedBundle
from tests.support.memory_replica import MemoryReplica
from tests.support.realm_factory import NOW_MILLISECONDS, FoundedRealm, SeededEntropy


@dataclass(slots=True)
class End:
    """One end: a session, its replica, the statements that it holds, and a record of all effects but frames."""

    keys: DeviceKeys
    realm: FoundedRealm
    statements: list[bytes]
    replica: MemoryReplica
    entropy: SeededEntropy
    initiator: bool
    discovery_secrets: tuple[bytes, ...] | None = None
    now_milliseconds: int = NOW_MILLISECONDS
    session: Session = field(init=False)
    effects: list[Effect] = field(default_factory=list)
    outbox: deque[bytes] = field(default_factory=deque)
    error: RemoteProtocolError | None = None
    sent_bytes: int = 0

    def __post_init__(self) -> None:
        membership = self.membership()
        self.session = Session(
            initiator=self.initiator,
            secrets=SessionSecrets(
                noise_secret=self.keys.noise_secret,
                ephemeral_secret=self.entropy.take(32),
                discovery_secrets=self.discovery_secrets or membership.discovery_secrets(),
            ),
            membership=membership,
            view=self.replica.view(),
            now_milliseconds=self.now_milliseconds,
        )

    @property
    def device_id(self) -> DeviceId:
        """The device at this end."""
        return self.keys.device_id

    def membership(self) -> Membership:
        """Return what the statements held mean to this device."""
        return open_membership(
            realm_id=self.realm.realm_id,
            device_id=self.keys.device_id,
            seal_secret=self.keys.seal_secret,
            statements=self.statements,
        )

    def status(self) -> PeerStatus:
        """Return the last status told."""
        return next(effect for effect in reversed(self.effects) if isinstance(effect, PeerStatus))

    def closed_because(self) -> str | None:
        """Return the reason of the Close effect, if there was one."""
        return next((effect.reason for effect in self.effects if isinstance(effect, Close)), None)

    def perform(self, effects: list[Effect]) -> None:
        """Perform effects in order, each with all that follows from it."""
        for effect in effects:
            if isinstance(effect, SendFrame):
                self.outbox.append(effect.frame)
                self.sent_bytes += len(effect.frame)
            else:
                self.effects.append(effect)
                self.perform(self._answer(effect))

    def _answer(self, effect: Effect) -> list[Effect]:
        session, replica = self.session, self.replica
        match effect:
            case ReadBatches(stream=stream):
                return session.batches_read(stream, log_base=replica.log_base(stream), bundle=self._bundle(effect))
            case OpenSnapshot(stream=stream):
                return session.snapshot_opened(replica.manifest(stream))
            case ReadPage(manifest=manifest, cursor=cursor, bytes_max=bytes_max):
                page, next_cursor = replica.read_page(manifest.stream, cursor, bytes_max)
                return session.page_read(envelope=self.seal([page]), next_cursor=next_cursor)
            case ApplyBatches(number=number, batches=batches):
                advanced, held, refused = replica.apply(batches)
                return session.batches_applied(
                    number, view=replica.view(), advanced=advanced, held=held, refused=refused
                )
            case ApplyPage(number=number, manifest=manifest, page=page):
                replica.apply_page(manifest, page)
                return session.page_applied(number, view=replica.view())
            case PlaceSnapshot(manifest=manifest):
                return session.snapshot_placed(replica.place(manifest))
            case AdoptSnapshot(number=number, manifest=manifest):
                replica.adopt(manifest)
                return session.snapshot_adopted(number, view=replica.view())
            case SplitRanges(stream=stream, ranges=ranges):
                return session.ranges_split(replica.split(stream, ranges), view=replica.view())
            case SumRanges(stream=stream, ranges=ranges):
                return session.ranges_summed([replica.sum(stream, one) for one in ranges], view=replica.view())
            case ReadRepair(stream=stream, ranges=ranges):
                manifest, page, rest = replica.read_ranges(stream, ranges)
                return session.repair_read(manifest, envelope=self.seal([page]), rest=rest)
            case ApplyRepair(number=number, manifest=manifest, page=page):
                replica.join_rows(manifest.stream, page)
                return session.page_applied(number, view=replica.view())
            case ApplyStatements(statements=statements):
                self.statements.extend(raw for raw in statements if raw not in self.statements)
                return session.statements_applied(self.membership())
            case SendFrame() | PeerIdentified() | PeerStatus() | ClockDiffers() | Close():
                return []
            case ReadChain():
                hashes, wanted = replica.chain(effect.stream, effect.origin, effect.seqs, effect.batch)
                return session.chain_read(effect, hashes=hashes, envelope=self.seal([wanted]) if wanted else b"")
            case Diverged() | Repaired() | StreamReadable() | StreamComplete() | ForkFound():
                return []

    def _bundle(self, effect: ReadBatches) -> SealedBundle | None:
        batches = self.replica.read(effect.stream, effect.after, effect.bytes_max)
        if not batches:
            return None
        reaches = Frontier({batch.origin: FrontierEntry(batch.seq, batch.hash[:8]) for batch in batches})
        return SealedBundle(envelope=self.seal([batch.raw for batch in batches]), reaches=reaches)

    def seal(self, items: list[bytes]) -> bytes:
        """Seal items under the epoch that this device sends under."""
        sending = self.membership().sending
        assert sending is not None, "the session may not ask for a reading that cannot be sealed"
        return seal_envelope(
            realm_id=self.realm.realm_id, epoch_key=sending.key, nonce=self.entropy.take(24), items=items
        )

    def receive(self, frame: bytes) -> None:
        """Hand one frame to the session; what the peer broke is kept in `error`."""
        try:
            self.perform(self.session.receive_frame(frame))
        except RemoteProtocolError as error:
            self.error = error

    def changed(self, *, push: bool = True) -> None:
        """Tell the session that the replica moved on."""
        self.perform(self.session.replica_changed(self.replica.view(), push=push))

    def tick(self, elapsed_seconds: float) -> None:
        """Let time pass."""
        self.perform(self.session.tick(now_milliseconds=self.now_milliseconds, elapsed_seconds=elapsed_seconds))


@dataclass(slots=True)
class SessionPair:
    """An initiator and a responder. `tamper` sees every frame on its way and returns the frames to deliver instead."""

    initiator: End
    responder: End
    tamper: Callable[[End, bytes], list[bytes]] = field(default=lambda _sender, frame: [frame])

    def connect(self) -> "SessionPair":
        """Start the handshake and deliver frames until both ends are quiet."""
        self.initiator.perform(self.initiator.session.start())
        return self.settle()

    def settle(self) -> "SessionPair":
        """Deliver frames, one from each end in turn, until both ends are quiet."""
        while self.initiator.outbox or self.responder.outbox:
            for sender, receiver in ((self.initiator, self.responder), (self.responder, self.initiator)):
                if sender.outbox:
                    for frame in self.tamper(sender, sender.outbox.popleft()):
                        receiver.receive(frame)
        return self


def make_end(
    realm: FoundedRealm,
    device: int,
    *,
    initiator: bool,
    replica: MemoryReplica | None = None,
    statements: list[bytes] | None = None,
    discovery_secrets: tuple[bytes, ...] | None = None,
    now_milliseconds: int = NOW_MILLISECONDS,
    seed: str = "",
) -> End:
    """Return one end for a device of the realm; it holds all statements unless others are given."""
    keys = realm.devices[device]
    return End(
        keys=keys,
        realm=realm,
        statements=list(realm.statements if statements is None else statements),
        replica=replica if replica is not None else MemoryReplica(keys.device_id),
        entropy=SeededEntropy(f"end {device} {initiator} {seed}"),
        initiator=initiator,
        discovery_secrets=discovery_secrets,
        now_milliseconds=now_milliseconds,
    )


def make_pair(
    realm: FoundedRealm, first: MemoryReplica | None = None, second: MemoryReplica | None = None
) -> SessionPair:
    """Return device 0 as initiator and device 1 as responder, not connected yet."""
    return SessionPair(
        initiator=make_end(realm, 0, initiator=True, replica=first),
        responder=make_end(realm, 1, initiator=False, replica=second),
    )
