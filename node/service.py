"""The one writer of a home: its open store, its device's keys, its realm's members and, if a node runs, its links."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from crdt.identifiers import DeviceId
from node.clock import Clock
from node.discovery.report import DiscoveryReport
from node.entropy import Entropy
from node.errors import NotRunningError, StorageError
from node.event_feed import EventFeed
from node.home import Home
from node.keys.key_file import UnlockedKeys
from node.metrics import Traffic
from node.repositories.conflicts import Conflicts
from node.repositories.conversations import Conversations
from node.repositories.memories import Memories
from node.repositories.record_history import RecordHistory
from node.requests import RowsChanged
from node.search.recall import Recall
from node.store.store import Store
from node.store.store_parts import ChangeNotice
from sync.errors import RemoteProtocolError
from sync.membership import Membership, open_membership
from sync.streams import Stream

if TYPE_CHECKING:
    from node.pairing_host import PairingHost


logger = logging.getLogger(__name__)

LISTED_ROWS_MAX = 1_000


class PeerState(Protocol):
    """Another active device as the runtime knows it."""

    @property
    def device_id(self) -> DeviceId:
        """Who it is."""

    @property
    def connected(self) -> bool:
        """Whether a session is open."""

    @property
    def in_sync(self) -> bool:
        """Whether both replicas provably agree: equal frontiers and equal digests."""

    @property
    def why(self) -> str:
        """One plain line, unless in sync."""

    @property
    def last_seen_milliseconds(self) -> int | None:
        """When it was last heard of, in milliseconds since 1970."""

    @property
    def clock_ahead_milliseconds(self) -> int | None:
        """How far its clock was ahead of this device's when it last connected; None where they agreed."""


class Links(Protocol):
    """The part of a running node's runtime that operations ask."""

    @property
    def traffic(self) -> Traffic:
        """What went over the links so far."""

    def peers(self) -> Sequence[PeerState]:
        """Return every other active device of the realm, connected or not."""

    def pending(self, stream: Stream) -> tuple[int, int]:
        """Return how many batches are known to be missing here, and at the connected peer that lacks most."""

    def listening_at(self) -> str | None:
        """Return where the node listens, host:port, None if it accepts nobody."""

    def called(self) -> Sequence[str]:
        """Return the addresses that the node keeps calling."""

    def discovery(self) -> DiscoveryReport:
        """Return how looking for other devices on the local network goes."""

    def held(self) -> int:
        """Return how many batches wait for another batch, for their author's admission, or for their time."""


class Service:
    """What operations work on.

    1. One process and one thread own it: store calls are synchronous, made from the event loop.
    2. `links` and `pairing` are set only while a node runs; an operation that needs them says so otherwise.
    """

    def __init__(self, *, home: Home, keys: UnlockedKeys, store: Store, clock: Clock, entropy: Entropy) -> None:
        self.home = home
        self.keys = keys
        self.store = store
        self.clock = clock
        self.entropy = entropy
        self.events = EventFeed()
        self.links: Links | None = None
        self.pairing: PairingHost | None = None
        self._membership: Membership | None = None
        self._statements_evaluated: list[bytes] = []
        self._stop_listening: Callable[[], None] = store.subscribe(self._store_changed)

    @property
    def membership(self) -> Membership:
        """The members of the realm, evaluated anew when statements came; raises StorageError where they are damaged."""
        statements = self.store.statements()
        if self._membership is None or self._statements_evaluated != statements:
            self._statements_evaluated = statements
            try:
                self._membership = open_membership(
                    realm_id=self.keys.realm_id,
                    device_id=self.keys.device_id,
                    seal_secret=self.keys.device_keys.seal_secret,
                    statements=statements,
                )
            except RemoteProtocolError as error:
                # They were checked when they came; what does not hold now was changed on the disk.
                raise StorageError(f"What this device keeps of your realm is damaged: {error}") from error
        return self._membership

    @cached_property
    def memories(self) -> Memories:
        """The memories of this device."""
        return Memories(self.store, self.clock)

    @cached_property
    def conversations(self) -> Conversations:
        """The conversations of this device."""
        return Conversations(self.store, self.clock)

    @cached_property
    def history(self) -> RecordHistory:
        """What was done to the records of this device."""
        return RecordHistory(self.store, self.clock)

    @cached_property
    def conflicts(self) -> Conflicts:
        """The conflicts that this device knows of."""
        return Conflicts(self.store, self.clock)

    @cached_property
    def recall(self) -> Recall:
        """Search over both."""
        return Recall(self.store)

    def device_name(self, device_id: DeviceId) -> str:
        """Return the name that a device was given when it joined."""
        certificate = self.membership.roster.certificate_by_device.get(device_id)
        return certificate.name if certificate else device_id.hex()[:12]

    def require_pairing(self) -> "PairingHost":
        """Return the pairing host; raises `NotRunningError` if no node runs here."""
        if self.pairing is None:
            raise NotRunningError("Pairing needs a running node. Start one with `nuthatch run`.")
        return self.pairing

    def close(self) -> None:
        """Close the store; what was acknowledged is on the disk already."""
        self._stop_listening()
        try:
            # What a command listed without a node is verified before it ends; the status tells of it.
            self.store.verify_listed(LISTED_ROWS_MAX)
        except StorageError as error:
            # What the command was asked to do is done; the next one will meet the same.
            logger.warning("what was listed could not be verified", extra={"reason": str(error)})
        finally:
            self.store.close()

    def _store_changed(self, notice: ChangeNotice) -> None:
        self.events.publish(RowsChanged(local=notice.local, changes_by_table=dict(notice.changes_by_table)))


@contextmanager
def closing(service: Service) -> Iterator[Service]:
    """Close the service at the end of the block."""
    try:
        yield service
    finally:
        service.close()
