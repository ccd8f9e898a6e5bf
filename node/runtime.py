"""The sync side of a running node: one event loop's worth of links over one store.

Rules
1. One session for each pair of devices. Where both dialled at once, the link that the lower device id opened is kept;
   both ends decide so without another word. Else the later one is kept.
2. Local commits are pushed within PUSH_SECONDS, together; what came from one peer is announced as fast and forwarded to
   the others FORWARD_SECONDS later, by when they have mostly said that they hold it.
3. A link's failure is its own. Nothing here waits for a peer.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from aiohttp import web

from crdt.identifiers import DeviceId
from node.clock import Clock
from node.discovery.call_plan import Outcome
from node.discovery.calling import Called, Calling
from node.discovery.report import OFF, DiscoveryReport
from node.doubts import Doubts
from node.entropy import Entropy
from node.errors import TransportError
from node.named_timers import NamedTimers, guarded
from node.peers import PeerState, PeerTable
from node.replication import Replication
from node.requests import NodeEvent, Notice, StreamComplete, StreamReadable
from node.rest import Rest
from node.scrubbing import Scrubbing
from node.store.store import Store
from node.store.store_parts import ChangeNotice
from node.transport.address import Address, parse_address
from node.transport.dialer import connect
from node.transport.link import Link, WebSocket
from node.transport.listener import HandlePairing, Listener
from sync import effects
from sync.discovery_names import greeting_secrets
from sync.effects import PeerStatus
from sync.identifiers import RealmId
from sync.identity import DeviceKeys
from sync.key_epoch import minting_rank
from sync.membership import Membership
from sync.session import Session
from sync.session_handshake import SessionSecrets
from sync.streams import Stream

logger = logging.getLogger(__name__)

PUSH_SECONDS = 0.002
FORWARD_SECONDS = 0.02
TICK_SECONDS = 1.0
# Every write makes two devices differ for some milliseconds; only what lasts longer is an event.
TELL_SECONDS = 0.2
# Another device mints first; each further one waits this much longer, so that as a rule one epoch is made and not many.
MINT_PATIENCE_SECONDS = 3.0
# Two links opened within this time are a race. A later one says that the peer lost the one before, whatever we think.
RACE_SECONDS = 10.0
# A connection that lasted this long was worth having; the next pause before dialling starts small again.
STEADY_SECONDS = 5.0
STARTED_OVER = "changes were written again under another name; comparing anew"
REPLACED = "another connection to this device is kept"


class Runtime:
    """Links, timers and the realm's upkeep; the rules are in the module's docstring."""

    def __init__(
        self,
        *,
        store: Store,
        keys: DeviceKeys,
        realm_id: RealmId,
        clock: Clock,
        entropy: Entropy,
        listen: str | None = "127.0.0.1:0",
        peers: Sequence[str] = (),
        pairing: HandlePairing | None = None,
        older_discovery_secrets: Sequence[bytes] = (),
        on_event: Callable[[NodeEvent], None] = lambda _event: None,
    ) -> None:
        """Wire a node; nothing happens before `start`.

        `listen` and `peers` are host:port (port 0: any, listen None: accept nobody). `older_discovery_secrets` are what
        a newcomer was given to greet devices that have not heard of it. Raises ConfigError for a malformed address.
        """
        self.replication = Replication(store=store, keys=keys, realm_id=realm_id, clock=clock, entropy=entropy)
        self.traffic = self.replication.traffic
        self._keys = keys
        self._clock = clock
        self._entropy = entropy
        self._listen = parse_address(listen) if listen is not None else None
        self._bound: Address | None = None
        self.calling = Calling(keys.device_id, self._call, clock, entropy)
        for peer in peers:
            self.calling.configure(parse_address(peer))
        self._older_discovery_secrets = tuple(older_discovery_secrets)
        self._listener = Listener(handle_sync=self._accept, handle_pairing=pairing, clock=clock)
        self._on_event = on_event
        self._links: set[Link] = set()
        self._link_by_device: dict[DeviceId, Link] = {}
        self._peers = PeerTable(clock=clock, membership=lambda: self.replication.membership, publish=on_event)
        self._failures_by_address: dict[Address, int] = {}
        self._timers = NamedTimers()
        self.doubts = Doubts(self.calling, self._timers, lambda: list(self._links), self._link_by_device)
        self._rest = Rest(store, clock.monotonic_seconds)
        self._scrubbing = Scrubbing(
            store,
            clock,
            sign_public=lambda device_id: self.replication.membership.roster.sign_public(device_id),
            holder=self._peers.in_sync,
            tell=self._tell,
        )
        self._ticker: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._stopping = False
        #: How looking for devices on the local network goes; whoever looks sets it.
        self.discovery: Callable[[], DiscoveryReport] = lambda: OFF

    # Life

    async def start(self) -> None:
        """Listen and begin to dial. Raises TransportError if the port is in use."""
        if self._listen is not None:
            self._bound = await self._listener.start(self._listen)
        self._unsubscribe = self.replication.store.subscribe(self._store_changed)
        self.replication.membership_moved.append(self._membership_moved)
        self._ticker = asyncio.create_task(self._tick())
        self.calling.remember(self.replication.store.address_book().all())
        self.calling.keep_only(self.replication.membership.roster.active)
        self.calling.start()
        self._keep_realm()

    async def stop(self) -> None:
        """Close every link and the port; what was acknowledged is on the disk already."""
        self._stopping = True
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._timers.stop()
        for link in list(self._links):
            link.close("this node is stopping")
        await self.calling.stop()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await self._listener.stop()

    @property
    def listen_address(self) -> str:
        """Where the node really listens, host:port. Raises TransportError if it does not."""
        if self._bound is None:
            raise TransportError("This node accepts no connections.")
        return str(self._bound)

    def listening_at(self) -> str | None:
        """Return where the node listens, host:port, None if it accepts nobody."""
        return str(self._bound) if self._bound is not None else None

    def called(self) -> list[str]:
        """Return the addresses that the node calls when there is need."""
        return [str(address) for address in self.calling.addresses()]

    def dial(self, address: str) -> None:
        """Keep a connection to this host:port from now on. Raises ConfigError for another form."""
        self.calling.configure(parse_address(address))

    # What others ask

    def peers(self) -> list[PeerState]:
        """Return every other active device, connected or not, in order of id."""
        return self._peers.all()

    def pending(self, stream: Stream) -> tuple[int, int]:
        """Return how many batches are missing here, and at the connected peer that lacks most."""
        counts = [link.pending(stream) for link in self._link_by_device.values()]
        return max((count[0] for count in counts), default=0), max((count[1] for count in counts), default=0)

    def held(self) -> int:
        """Return how many batches wait for another batch, for their author's admission, or for their time."""
        return sum(link.held() for link in self._link_by_device.values())

    def link_count(self) -> int:
        """Return how many connections there are, those of strangers included."""
        return len(self._links)

    def stranger_count(self) -> int:
        """Return how many connections there are whose other end has proved nothing."""
        return self._listener.stranger_count()

    def opened_link_to(self, device_id: DeviceId) -> bool | None:
        """Tell whether this device opened the link that is kept with another, None if there is none."""
        link = self._link_by_device.get(device_id)
        return link.initiator if link is not None else None

    def roster_changed(self) -> None:
        """Statements were stored here, beside the owner: tell the peers, and mint the key epoch that they call for."""
        self.replication.reload_membership()
        if self.replication.epoch_is_due():
            self.replication.mint_epoch()

    # Connections

    async def _accept(self, websocket: web.WebSocketResponse, address: str, proven: Callable[[], None]) -> None:
        secrets = self.replication.membership.discovery_secrets()
        if not secrets or self._stopping:
            await websocket.close()
            return
        link = self._link(websocket, address, secrets, initiator=False)
        link.when_proven = proven
        await self._keep(link)

    def _link(
        self, websocket: WebSocket, address: str, discovery_secrets: Sequence[bytes], *, initiator: bool
    ) -> Link:  # fmt: skip
        session = Session(
            initiator=initiator,
            secrets=SessionSecrets(
                noise_secret=self._keys.noise_secret,
                ephemeral_secret=self._entropy.take(32),
                discovery_secrets=discovery_secrets,
            ),
            membership=self.replication.membership,
            view=self.replication.store.view(),
            now_milliseconds=self._clock.now_milliseconds(),
        )
        return Link(
            websocket=websocket, session=session, replication=self.replication, host=self, clock=self._clock,
            address=address, initiator=initiator,
        )  # fmt: skip

    async def _keep(self, link: Link) -> None:
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _call(self, address: Address) -> Called:
        secrets = greeting_secrets(self.replication.membership, self._older_discovery_secrets)
        if not secrets:
            return Called(Outcome.UNREACHABLE)
        # A peer that was away knows an older secret only, so attempts take turns.
        failures, called_seconds = self._failures_by_address.get(address, 0), self._clock.monotonic_seconds()
        try:
            async with connect(address) as websocket:
                link = self._link(websocket, str(address), [secrets[failures % len(secrets)]], initiator=True)
                await self._keep(link)
        except TransportError as error:
            logger.debug("call failed", extra={"address": str(address), "reason": str(error)})
            return Called(Outcome.UNREACHABLE)
        if link.peer is None:
            self._failures_by_address[address] = failures + 1
            return Called(Outcome.OURSELVES if link.is_ourselves else Outcome.REFUSED)
        self._failures_by_address.pop(address, None)
        if not link.was_kept:
            return Called(Outcome.NEEDLESS, link.peer)
        # A peer with which every session fails at once must not be called in a circle.
        lasted_seconds = self._clock.monotonic_seconds() - called_seconds
        return Called(Outcome.MET if lasted_seconds >= STEADY_SECONDS else Outcome.BRIEF, link.peer)

    # What links tell (LinkHost)

    def identified(self, link: Link, device_id: DeviceId) -> str | None:
        """Keep one link for each device: of two that both ends opened, the one that the lower id opened."""
        link.when_proven()
        kept = self._link_by_device.get(device_id)
        if kept is not None and kept.age_seconds() <= RACE_SECONDS and not kept.is_unanswered():
            wanted_initiator = self.replication.device_id < device_id
            if kept.initiator == wanted_initiator != link.initiator:
                return REPLACED
        self._link_by_device[device_id] = link
        if kept is not None:
            kept.close(REPLACED)
        called = parse_address(link.address) if link.initiator else None
        self.calling.connected(device_id, called)
        if called is not None:
            guarded(lambda: self.replication.store.address_book().met(device_id, called))
        self._peers.connected(device_id)
        return None

    def status_changed(self, link: Link, status: PeerStatus) -> None:
        """Take the session's judgement of the peer."""
        if link.peer is None or self._link_by_device.get(link.peer) is not link:
            return
        peer = link.peer
        if self._peers.judged(peer, status):
            self._timers.cancel(f"tell {peer.hex()}")
            self._timers.once(f"tell {peer.hex()}", TELL_SECONDS, lambda: self._peers.tell(peer))

    def clock_differs(self, link: Link, ahead_milliseconds: int) -> None:
        """Tell the person: a device with a wrong clock writes what others must hold back."""
        days = abs(ahead_milliseconds) / 86_400_000
        direction = "ahead of" if ahead_milliseconds > 0 else "behind"
        if link.peer is not None:
            self._peers.clock_differs(link.peer, ahead_milliseconds)
        logger.warning("clocks differ", extra={"peer": link.device_label, "ahead_milliseconds": ahead_milliseconds})
        text = f"is {days:.1f} days {direction} this device's; set the wrong one right."
        self._tell(f"The clock of {self._name(link)} {text}")

    def diverged(self, link: Link, stream: Stream) -> None:
        """Tell loudly: equal batches made different rows, which must not happen."""
        logger.error("replicas differ", extra={"peer": link.device_label, "stream": stream.title})
        self._tell(f"The rows of {stream.title} and those on {self._name(link)} differ after the same changes.")

    def repaired(self, link: Link, stream: Stream) -> None:
        """Tell, once: what differed must not have, and is whole again."""
        logger.error("replicas differed and were made equal", extra={"peer": link.device_label, "stream": stream.title})
        self._tell(f"Rows of {stream.title} differed from those on {self._name(link)}; they are equal again.")

    def _tell(self, text: str) -> None:
        self._on_event(Notice(text=text))

    def _name(self, link: Link) -> str:
        return self._peers.name(link.peer) if link.peer is not None else link.address

    def arrived(self, link: Link, news: effects.StreamReadable | effects.StreamComplete) -> None:
        """Tell that a stream of the peer can be read, or is complete."""
        event = StreamReadable if isinstance(news, effects.StreamReadable) else StreamComplete
        peer = link.peer.hex() if link.peer is not None else ""
        self._on_event(event(stream=news.stream.title, rows=news.rows, device_id=peer))

    def closed(self, link: Link) -> None:
        """The link is over: nobody is connected, unless another link took its place."""
        device_id = link.peer
        if device_id is None or self._link_by_device.get(device_id) is not link:
            return
        del self._link_by_device[device_id]
        self.calling.disconnected(device_id, steady=link.age_seconds() >= STEADY_SECONDS)
        self._peers.disconnected(device_id, link.closed_because or "")

    def _start_over(self) -> None:
        """Let every link compare anew: what ends tell each other in a session only ever grows."""
        for link in list(self._links):
            link.close(STARTED_OVER)

    # Pushing

    def _store_changed(self, notice: ChangeNotice) -> None:
        if notice.went_back:
            self._timers.once("start over", 0, self._start_over)
        if notice.local:
            self._timers.once("push", PUSH_SECONDS, lambda: self._announce(push=True))
        else:
            self._timers.once("announce", PUSH_SECONDS, lambda: self._announce(push=False))
            self._timers.once("forward", FORWARD_SECONDS, lambda: self._announce(push=True))

    def _announce(self, *, push: bool) -> None:
        view = self.replication.store.view()
        for link in list(self._links):
            link.replica_changed(view, push=push)

    # The realm

    def _membership_moved(self, membership: Membership) -> None:
        self.calling.keep_only(membership.roster.active)
        for link in list(self._links):
            link.membership_changed(membership)
        self._keep_realm()

    def _keep_realm(self) -> None:
        """See that there is a key epoch for exactly the active devices, and a sign of life of this one each day."""
        if not self.replication.epoch_is_due():
            return
        rank = minting_rank(self.replication.membership.roster, self.replication.device_id)
        jitter = int.from_bytes(self._entropy.take(4), "big") / 2**32
        self._timers.once("mint", rank * (MINT_PATIENCE_SECONDS + jitter), self._mint_if_due)

    def _mint_if_due(self) -> None:
        if self.replication.epoch_is_due():
            self.replication.mint_epoch()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for link in list(self._links):
                link.tick()
            guarded(self._keep_realm)
            guarded(self.replication.beat_if_due)
            guarded(self.replication.tidy_if_due)
            guarded(self.replication.compact_if_due)
            guarded(self._scrubbing.look)
            guarded(self._rest.look)
