"""Performs what sessions ask of this device's replica and realm: reads, seals, applies, each call one durable step."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crdt.identifiers import DeviceId, origin_device
from node.clock import Clock
from node.entropy import Entropy
from node.errors import StorageError
from node.metrics import Traffic
from node.store.change_log import StoredBatch
from node.store.store import Store
from sync.crypto import AEAD_NONCE_BYTES
from sync.effects import (
    AdoptSnapshot,
    ApplyBatches,
    ApplyPage,
    ApplyRepair,
    ApplyStatements,
    Effect,
    ForkFound,
    OpenSnapshot,
    PlaceSnapshot,
    ReadBatches,
    ReadChain,
    ReadPage,
    ReadRepair,
    SplitRanges,
    SumRanges,
)
from sync.envelope import seal_envelope
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.frontier import PREFIX_BYTES, Frontier, FrontierEntry
from sync.identifiers import BatchHash, RealmId, StatementHash
from sync.identity import DeviceKeys
from sync.key_epoch import epoch_is_due, mint_entropy_bytes, mint_epoch
from sync.membership import Membership, open_membership
from sync.roster import evaluate
from sync.session import Phase, Session
from sync.session_receiving import HeldBatch
from sync.session_sending import SealedBundle
from sync.snapshot import Manifest, RowKey
from sync.stable_frontier import stable_frontiers
from sync.statements import Beat, sign_statement, state_frontiers, statement_hash
from sync.streams import Stream

logger = logging.getLogger(__name__)

# Several peers usually lack the same batches at the same moment; a few sealed bundles serve them all.
_SEALED_BUNDLES_MAX = 4
# A sender that is silent for this long in the middle of a snapshot may not keep others from going on with it.
SNAPSHOT_STALLED_SECONDS = 20.0
BEAT_MILLISECONDS = 24 * 3600 * 1000
TIDY_SECONDS = 3600.0
COMPACT_SECONDS = 24 * 3600.0
# A transaction of this size is done in some ten milliseconds, in which a node answers nobody.
COMPACTED_BATCHES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _BundleKey:
    """What an envelope holds: the same batches under the same key epoch need sealing once."""

    epoch: StatementHash
    #: Each batch's hash, and one of its bytes: forgetting takes words out of a batch and leaves its hash.
    batches: tuple[tuple[BatchHash, int], ...]


@dataclass(frozen=True, slots=True)
class _Receiver:
    """The session that receives a stream's snapshot, and when it last did (monotonic)."""

    session: Session
    moved_seconds: float


class Replication:
    """The one store of a node as its sessions use it.

    1. `membership` is always what the stored statements say.
    2. Whoever is in `membership_moved` hears of every new membership, after it was stored.
    """

    def __init__(self, *, store: Store, keys: DeviceKeys, realm_id: RealmId, clock: Clock, entropy: Entropy) -> None:
        self.store = store
        self.keys = keys
        self._realm_id = realm_id
        self._device_id = keys.device_id
        self._clock = clock
        self._entropy = entropy
        self._sealed: OrderedDict[_BundleKey, bytes] = OrderedDict()
        self._tidy_at_seconds = 0.0
        self._compact_at_seconds = 0.0
        self._receiver_by_stream: dict[Stream, _Receiver] = {}
        self.traffic = Traffic()
        self.membership_moved: list[Callable[[Membership], None]] = []
        self.membership = self._open_membership()

    @property
    def device_id(self) -> DeviceId:
        """This device."""
        return self._device_id

    def perform(self, effect: Effect, session: Session) -> list[Effect]:
        """Perform an effect that concerns the replica and return what the session makes of the result.

        Raises RemoteProtocolError if the peer's bytes are to blame, StorageError if the store is.
        """
        match effect:
            case ReadBatches():
                return self._read_batches(effect, session)
            case OpenSnapshot(stream=stream):
                return session.snapshot_opened(self.store.snapshot_manifest(stream))
            case ReadPage(manifest=manifest, index=index, cursor=cursor, bytes_max=bytes_max):
                page = self.store.read_page(manifest, index, cursor, bytes_max)
                return session.page_read(envelope=self._seal([page.raw]), next_cursor=page.next_cursor)
            case ApplyBatches():
                return self._apply_batches(effect, session)
            case ApplyPage(number=number, manifest=manifest, page=page_raw):
                self._apply_page(page_raw, manifest, session)
                self._note_page(manifest.stream, session)
                return session.page_applied(number, view=self.store.view())
            case PlaceSnapshot(manifest=manifest):
                return session.snapshot_placed(self._place(manifest, session))
            case SplitRanges(stream=stream, ranges=ranges, fresh=fresh):
                self._add_up(stream, fresh=fresh)
                parts = self.store.pages().ranges.split(stream, ranges)
                return session.ranges_split(parts, view=self.store.view())
            case SumRanges(stream=stream, ranges=ranges, fresh=fresh):
                self._add_up(stream, fresh=fresh)
                sums = self.store.pages().ranges.sums(stream, ranges)
                return session.ranges_summed(sums, view=self.store.view())
            case ReadRepair(stream=stream, ranges=ranges, bytes_max=bytes_max):
                manifest, raw, rest = self.store.pages().read_repair(stream, ranges, bytes_max)
                return session.repair_read(manifest, envelope=self._seal([raw]), rest=rest)
            case ApplyRepair(number=number, manifest=manifest, page=page_raw):
                self._apply_page(page_raw, manifest, session)
                return session.page_applied(number, view=self.store.view())
            case AdoptSnapshot(number=number, manifest=manifest):
                self.store.adopt_snapshot(manifest)
                self._receiver_by_stream.pop(manifest.stream, None)
                return session.snapshot_adopted(number, view=self.store.view())
            case ApplyStatements(statements=statements):
                self.add_statements(statements)
                return session.statements_applied(self.membership)
            case ReadChain():
                return self._read_chain(effect, session)
            case ForkFound():
                self._settle(effect)
                return []
            case _:
                return []

    def _read_chain(self, effect: ReadChain, session: Session) -> list[Effect]:
        hashes = self.store.chains.hashes(effect.stream, effect.origin, effect.seqs)
        wanted = self.store.chains.batch(effect.stream, effect.origin, effect.batch) if effect.batch else None
        sealed = self._seal([wanted]) if wanted is not None and self.membership.sending is not None else b""
        return session.chain_read(effect, hashes=hashes, envelope=sealed)

    def _settle(self, found: ForkFound) -> None:
        if origin_device(found.origin) != self._device_id:
            self.store.chains.note_fork(found, self.membership.roster)
        else:
            self.store.chains.settle_fork(found.evidence, self.membership.roster)

    def _read_batches(self, effect: ReadBatches, session: Session) -> list[Effect]:
        stream, log_base = effect.stream, self.store.log_base(effect.stream)
        bundle: SealedBundle | None = None
        if effect.after.covers_all(log_base):
            batches = self.store.read_batches(stream, effect.after, effect.bytes_max)
            bundle = self._bundle(batches) if batches else None
            self.traffic.batches_sent += len(batches)
        return session.batches_read(stream, log_base=log_base, bundle=bundle)

    def _add_up(self, stream: Stream, *, fresh: bool) -> None:
        """See that the digest is the sum of the rows' hashes, before they are compared with a peer's."""
        if fresh and self.store.recompute_digest(stream) != self.store.view().stream(stream).digest:
            logger.error("the digest was not the sum of the rows", extra={"stream": stream.title})
            self.store.add_up([stream])

    def _place(self, manifest: Manifest, session: Session) -> RowKey | None:
        """Return where a snapshot begins; one session at a time receives a stream, or it would come twice.

        Raises RemoteProtocolError for one that claims batches of a device that never belonged to the realm: what is
        adopted stays in the frontier, and in the deps of every batch, for good.
        """
        if any(self.membership.roster.sign_public(origin_device(o)) is None for o in manifest.frontier.entries):
            raise RemoteProtocolError("the peer's snapshot claims changes of a device that nobody knows")
        receiver = self._receiver_by_stream.get(manifest.stream)
        if receiver is not None and receiver.session is not session and not self._has_stalled(receiver):
            return None
        self._note_page(manifest.stream, session)
        return self.store.place_snapshot(manifest)

    def _note_page(self, stream: Stream, session: Session) -> None:
        self._receiver_by_stream[stream] = _Receiver(session, self._clock.monotonic_seconds())

    def _has_stalled(self, receiver: "_Receiver") -> bool:
        waited_seconds = self._clock.monotonic_seconds() - receiver.moved_seconds
        return receiver.session.phase() is Phase.CLOSED or waited_seconds > SNAPSHOT_STALLED_SECONDS

    def _bundle(self, batches: Sequence[StoredBatch]) -> SealedBundle:
        reaches = Frontier({batch.origin: FrontierEntry(batch.seq, batch.hash[:PREFIX_BYTES]) for batch in batches})
        sending = self.membership.sending
        if sending is None:
            raise LocalProtocolError("batches are read to be sent only under a usable key epoch")
        key = _BundleKey(epoch=sending.hash, batches=tuple((batch.hash, hash(batch.raw)) for batch in batches))
        envelope = self._sealed.get(key)
        if envelope is None:
            envelope = self._sealed[key] = self._seal([batch.raw for batch in batches])
            if len(self._sealed) > _SEALED_BUNDLES_MAX:
                self._sealed.popitem(last=False)
        return SealedBundle(envelope=envelope, reaches=reaches)

    def _seal(self, items: Sequence[bytes]) -> bytes:
        sending = self.membership.sending
        if sending is None:
            raise LocalProtocolError("nothing is sealed without a usable key epoch")
        return seal_envelope(
            realm_id=self._realm_id, epoch_key=sending.key, nonce=self._entropy.take(AEAD_NONCE_BYTES), items=items
        )

    def _apply_batches(self, effect: ApplyBatches, session: Session) -> list[Effect]:
        joining = {stream for stream, one in self._receiver_by_stream.items() if not self._has_stalled(one)}
        now = self._clock.now_milliseconds()
        began_seconds = self._clock.monotonic_seconds()
        report = self.store.apply_batches(effect.batches, self.membership.roster, now, joining)
        lasted_seconds = self._clock.monotonic_seconds() - began_seconds
        self.traffic.batches_in(len(effect.batches), len(report.refused), lasted_seconds)
        return session.batches_applied(
            effect.number,
            view=self.store.view(),
            advanced=bool(report.streams_changed),
            held=[HeldBatch(raw=held.raw, reason=held.reason) for held in report.held],
            refused=[refused.reason for refused in report.refused],
            forked={(fork.stream, fork.origin, fork.seq) for fork in report.forked},
        )

    def _apply_page(self, raw: bytes, manifest: Manifest, session: Session) -> None:
        began_seconds = self._clock.monotonic_seconds()
        self.store.apply_page(raw, manifest, self._peer(session), self.membership.roster)
        self.traffic.page_in(self._clock.monotonic_seconds() - began_seconds)

    def _peer(self, session: Session) -> DeviceId:
        if session.peer is None:
            raise LocalProtocolError("pages come only from a device that is known")
        return session.peer

    # The realm

    def add_statements(self, statements: Sequence[bytes]) -> None:
        """Keep those statements that mean something together with what is held; the rest could only fill the disk."""
        held = self.membership.roster.raw_by_hash
        union = evaluate(self._realm_id, [*held.values(), *statements])
        news = [raw for name, raw in union.raw_by_hash.items() if name not in held]
        if news:
            self.store.add_statements(news)
            self.reload_membership()

    def reload_membership(self) -> None:
        """Read the roster again, after statements were stored."""
        self.membership = self._open_membership()
        for told in list(self.membership_moved):
            told(self.membership)

    def epoch_is_due(self) -> bool:
        """Tell whether the realm needs a new key epoch, and this device may speak for it."""
        now = self._clock.now_milliseconds()
        return self.membership.in_touch(now) and epoch_is_due(self.membership.roster, now)

    def mint_epoch(self) -> None:
        """Begin a new key epoch for exactly the active devices."""
        roster = self.membership.roster
        entropy = self._entropy.take(mint_entropy_bytes(len(roster.active)))
        self.add_statements(
            [mint_epoch(roster, self.keys, entropy=entropy, now_milliseconds=self._clock.now_milliseconds())]
        )

    def beat_if_due(self) -> None:
        """Sign the day's sign of life, unless this device may be cut off: then its word would reassure falsely."""
        now = self._clock.now_milliseconds()
        heard_at = self.membership.roster.heard_at_by_device.get(self._device_id, 0)
        if now - heard_at < BEAT_MILLISECONDS or not self.membership.in_touch(now):
            return
        frontiers = {stream: state.frontier for stream, state in self.store.view().streams.items()}
        beat = Beat(
            author=self._device_id,
            at_milliseconds=now,
            frontiers=state_frontiers(frontiers),
            heads=self.membership.roster.heads,
        )
        self.add_statements([sign_statement(beat, self._realm_id, self.keys.sign_seed)])

    def tidy_if_due(self) -> None:
        """Do one piece of the store's upkeep: at once where a forget waits for it, else once an hour."""
        now_seconds = self._clock.monotonic_seconds()
        if self.store.upkeep_waits or now_seconds >= self._tidy_at_seconds:
            more = self.store.maintain()
            self._tidy_at_seconds = now_seconds + (0.0 if more else TIDY_SECONDS)

    def compact_if_due(self) -> None:
        """Once a day, in small pieces: drop batches that all devices hold, and Beats that later ones have replaced."""
        now_seconds = self._clock.monotonic_seconds()
        if now_seconds < self._compact_at_seconds:
            return
        roster = self.membership.roster
        stable = stable_frontiers(roster, self._device_id, self.store.view(), self._clock.now_milliseconds())
        if self.store.compact(stable, COMPACTED_BATCHES_MAX) == COMPACTED_BATCHES_MAX:
            return
        self._compact_at_seconds = now_seconds + COMPACT_SECONDS
        if superseded := [raw for raw in self.store.statements() if statement_hash(raw) in roster.superseded]:
            self.store.drop_statements(superseded)

    def _open_membership(self) -> Membership:
        statements = self.store.statements()
        if not statements:
            raise StorageError("This home holds no realm; run `nuthatch init` or `nuthatch join`.")
        return open_membership(
            realm_id=self._realm_id,
            device_id=self._device_id,
            seal_secret=self.keys.seal_secret,
            statements=statements,
        )
