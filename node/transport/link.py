"""One encrypted link: feeds a session with what arrives, performs its effects, and outlives no error of its own.

Everything a session asks for is done on the event loop, in order, without a pause in between, except that what takes
long lets the frames before it go; frames wait for the network in a queue of bounded size. Whatever goes wrong ends this
link and no other, with a logged reason.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import ClientWebSocketResponse, WSMsgType, web

from crdt.identifiers import DeviceId
from node.clock import Clock
from node.errors import HostError
from node.replication import Replication
from node.transport.address import plain_host
from node.transport.liveness import Liveness
from sync.effects import (
    ClockDiffers,
    Close,
    Diverged,
    Effect,
    PeerIdentified,
    PeerStatus,
    ReadBatches,
    ReadPage,
    ReadRepair,
    Repaired,
    SendFrame,
    StreamComplete,
    StreamReadable,
)
from sync.errors import ProtocolError, RemoteProtocolError
from sync.frontier import ReplicaView
from sync.limits import ENVELOPE_BYTES_MAX, HANDSHAKE_SECONDS, MEBIBYTE
from sync.membership import Membership
from sync.session import OWN_ADDRESS, Phase, Session
from sync.streams import Stream

logger = logging.getLogger(__name__)

WebSocket = ClientWebSocketResponse | web.WebSocketResponse

# A window of bundles, or one oversize envelope on top of it, and the small messages between them. A peer that lets more
# than this wait does not read.
OUTGOING_BYTES_MAX = 2 * ENVELOPE_BYTES_MAX + 4 * MEBIBYTE
# One Noise message and nothing larger; aiohttp refuses the rest before it is read.
WEBSOCKET_MESSAGE_BYTES_MAX = 65_600
# How long the closing handshake of a WebSocket may take.
CLOSE_SECONDS = 1.0
# What takes some ten milliseconds, and is worth the peer's while only if it has something to do meanwhile.
_READINGS = (ReadBatches, ReadPage, ReadRepair)

LOST = "the connection was lost"
EPOCH_ENDED = "the realm got new keys in the middle of sending; the link begins anew under them"
SILENT = "the other device does not answer any more"


class LinkHost(Protocol):
    """What a link tells whoever keeps it."""

    def identified(self, link: "Link", device_id: DeviceId) -> str | None:
        """The peer is this device. Return why the link must be given up, None to keep it."""

    def closed(self, link: "Link") -> None:
        """The link is over; its reason is in `closed_because`."""

    def status_changed(self, link: "Link", status: PeerStatus) -> None:
        """The session's judgement of the peer changed."""

    def clock_differs(self, link: "Link", ahead_milliseconds: int) -> None:
        """The peer's clock is more than a day ahead of ours, or behind."""

    def diverged(self, link: "Link", stream: Stream) -> None:
        """Both replicas hold the same batches of a stream and yet different rows."""

    def repaired(self, link: "Link", stream: Stream) -> None:
        """Rows differed although both replicas held the same batches; they were compared and are equal."""

    def arrived(self, link: "Link", news: StreamReadable | StreamComplete) -> None:
        """The first rows that the peer had ahead of us are here, or all of them."""


class Link:
    """One WebSocket and its session; `run` lasts as long as they do."""

    def __init__(
        self, *, websocket: WebSocket, session: Session, replication: Replication, host: LinkHost, clock: Clock,
        address: str, initiator: bool,
    ) -> None:  # fmt: skip
        self._websocket = websocket
        self._session = session
        self._replication = replication
        self._host = host
        self._clock = clock
        self.address = address
        self.initiator = initiator
        self.peer: DeviceId | None = None
        self.is_ourselves = False
        self.closed_because: str | None = None
        self.when_proven: Callable[[], None] = lambda: None
        self.closed = asyncio.Event()
        self.was_kept = False
        self._opened_seconds = clock.monotonic_seconds()
        self._liveness = Liveness(self._opened_seconds)
        self._outgoing: deque[bytes | _Ping | _Pong] = deque()
        self._outgoing_bytes = 0
        self._outgoing_ready = asyncio.Event()
        self._inputs: deque[Callable[[], list[Effect]]] = deque()
        self._effects: deque[Effect] = deque()
        self._has_waited = False
        self._working = False

    @property
    def device_label(self) -> str:
        """The short form of the peer's id, for logs."""
        return self.peer.hex()[:12] if self.peer is not None else "unknown"

    @property
    def local_host(self) -> str | None:
        """The IP address of this device that the connection uses, without scope; None once it is over."""
        name = self._websocket.get_extra_info("sockname")
        return plain_host(str(name[0])).partition("%")[0] if name else None

    async def run(self) -> None:
        """Speak with the peer until either end closes; never raises for anything that the peer or the store did."""
        work = [asyncio.create_task(task) for task in (self._read(), self._write())]
        ended = asyncio.create_task(self.closed.wait())
        try:
            self.feed(self._session.start)
            await asyncio.wait([*work, ended], return_when=asyncio.FIRST_COMPLETED)
            for finished in work:
                if finished.done() and (error := finished.exception()) is not None:
                    self._failed(error)
        finally:
            self.close(LOST)
            for task in (*work, ended):
                task.cancel()
            await asyncio.gather(*work, ended, return_exceptions=True)
            await self._websocket.close()

    def close(self, reason: str) -> None:
        """End the link; the first reason given is kept."""
        if self.closed_because is None:
            self.closed_because = reason
            self._session.close()
            level = logging.INFO if self.peer is not None else logging.DEBUG
            logger.log(level, "link closed", extra=self._fields(reason=reason))
            self.closed.set()
            self._host.closed(self)

    # What others tell the session

    def replica_changed(self, view: ReplicaView, *, push: bool) -> None:
        """The replica moved on."""
        self.feed(lambda: self._session.replica_changed(view, push=push))

    def membership_changed(self, membership: Membership) -> None:
        """The roster moved on."""
        self.feed(lambda: self._session.membership_changed(membership))

    def tick(self) -> None:
        """Time passed. A stranger that has not proven itself by now may not occupy a place any longer."""
        elapsed_seconds = self.age_seconds()
        if self._session.phase() is Phase.HANDSHAKE and elapsed_seconds > HANDSHAKE_SECONDS:
            self.close(f"no handshake within {HANDSHAKE_SECONDS} seconds")
        self._mind_silence(self._clock.monotonic_seconds())
        now_milliseconds = self._clock.now_milliseconds()
        self.feed(lambda: self._session.tick(now_milliseconds=now_milliseconds, elapsed_seconds=elapsed_seconds))

    def _mind_silence(self, now_seconds: float) -> None:
        if self._liveness.is_over(now_seconds):
            self.close(SILENT)
        elif self._liveness.is_ping_due(now_seconds):
            self._enqueue(_Ping(self._liveness.ask(now_seconds)))

    def probe(self) -> None:
        """Ask the other end for a sign of life, unless it owes one."""
        if not self._liveness.is_unanswered():
            self._enqueue(_Ping(self._liveness.ask(self._clock.monotonic_seconds())))

    def quiet_seconds(self) -> float:
        """Return for how long nothing came."""
        return self._liveness.quiet_seconds(self._clock.monotonic_seconds())

    def is_silent(self) -> bool:
        """Tell whether nothing came since the other end was asked for a sign of life."""
        return self._liveness.is_silent()

    def is_unanswered(self) -> bool:
        """Tell whether the other end owes an answer, whatever else came from it."""
        return self._liveness.is_unanswered()

    def age_seconds(self) -> float:
        """Return for how long the connection has been open."""
        return self._clock.monotonic_seconds() - self._opened_seconds

    def pending(self, stream: Stream) -> tuple[int, int]:
        """Return how many batches of a stream are to come in and to go out."""
        pending = self._session.pending().get(stream)
        return (pending.incoming, pending.outgoing) if pending is not None else (0, 0)

    def held(self) -> int:
        """Return how many batches this link holds back."""
        return self._session.held_count

    def feed(self, take_input: Callable[[], list[Effect]]) -> None:
        """Give the session an input and perform what follows; inputs that arise meanwhile wait their turn."""
        self._inputs.append(take_input)
        self._work()

    def _work(self) -> None:
        if self._working:
            return
        self._working = True
        try:
            while (self._effects or self._inputs) and self.closed_because is None:
                if not self._effects:
                    self._effects.extend(self._inputs.popleft()())
                elif self._lets_frames_go():
                    break
                else:
                    self._effects.extendleft(reversed(self._perform_one(self._effects.popleft())))
        except Exception as error:  # noqa: BLE001 -- told in full by _failed; a peer must not end the node
            self._failed(error)
        finally:
            self._working = False

    def _lets_frames_go(self) -> bool:
        """Tell whether the next effect waits for the frames before it: what takes long must not hold them up.

        A page or bundle takes some ten milliseconds to read and seal. While the next one is read, the peer is already
        at work on the one before. Nothing overtakes a reading that waits: the next input performs it first.
        """
        if self._has_waited:
            self._has_waited = False
            if self._replication.membership.sending is None:
                # Asked for under keys that are no longer to be used.
                self.close(EPOCH_ENDED)
            return self.closed_because is not None
        if not isinstance(self._effects[0], _READINGS) or not self._outgoing:
            return False
        self._has_waited = True
        # The writer was woken before, so it has its turn first.
        asyncio.get_running_loop().call_soon(self._work)
        return True

    def _perform_one(self, effect: Effect) -> list[Effect]:
        match effect:
            case SendFrame(frame=frame):
                self._send(frame)
            case Close(reason=reason):
                self.is_ourselves = reason == OWN_ADDRESS
                self.close(reason)
            case PeerIdentified(device_id=device_id):
                self._identify(device_id)
            case PeerStatus():
                self._host.status_changed(self, effect)
            case ClockDiffers(ahead_milliseconds=ahead_milliseconds):
                self._host.clock_differs(self, ahead_milliseconds)
            case Diverged(stream=stream):
                self._host.diverged(self, stream)
            case Repaired(stream=stream):
                self._host.repaired(self, stream)
            case StreamReadable() | StreamComplete():
                self._host.arrived(self, effect)
            case _:
                return self._replication.perform(effect, self._session)
        return []

    def _identify(self, device_id: DeviceId) -> None:
        self.peer = device_id
        if (reason := self._host.identified(self, device_id)) is not None:
            self.close(reason)
        else:
            self.was_kept = True
            self._replication.traffic.links_opened += 1
            logger.info("link open", extra=self._fields())

    def _failed(self, error: BaseException) -> None:
        """Close the link for `error`: the peer's fault, the store's, or a defect of ours, each logged as what it is."""
        match error:
            case RemoteProtocolError():
                self._replication.traffic.links_broken += 1
                logger.warning("peer broke the protocol", extra=self._fields(reason=str(error)))
            case HostError():
                logger.error("link failed", extra=self._fields(reason=str(error)))
            case ConnectionError() | TimeoutError():
                logger.info("connection failed", extra=self._fields(reason=type(error).__name__))
            case _:
                logger.error("defect in a link", extra=self._fields(reason=type(error).__name__), exc_info=error)
        own = isinstance(error, HostError | ProtocolError)
        self.close(str(error) if own else f"{LOST} ({type(error).__name__})")

    def _fields(self, **more: str) -> dict[str, str]:
        return {"peer": self.device_label, "address": self.address, **more}

    # The network

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            self._liveness.heard(self._clock.monotonic_seconds())
            if message.type is WSMsgType.BINARY:
                frame: bytes = message.data
                self._replication.traffic.frame_in(len(frame))
                self.feed(lambda frame=frame: self._session.receive_frame(frame))  # type: ignore[misc]
            elif message.type is WSMsgType.PING:
                self._answer(message.data)
            elif message.type is WSMsgType.PONG:
                self._liveness.answered(bytes(message.data))
            elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                return
            elif message.type is WSMsgType.ERROR:
                raise RemoteProtocolError("the peer sent a frame that is too large or malformed")
            else:
                raise RemoteProtocolError("the peer sent something else than binary frames")

    def _answer(self, ping: bytes) -> None:
        """Answer a ping, the latest one where several wait: a peer that asks without reading is owed no more."""
        waiting = next((item for item in self._outgoing if isinstance(item, _Pong)), None)
        if waiting is None:
            self._enqueue(_Pong(ping))
        else:
            waiting.data = ping

    def _send(self, frame: bytes) -> None:
        self._outgoing_bytes += len(frame)
        if self._outgoing_bytes > OUTGOING_BYTES_MAX:
            self.close("the peer does not read what it is sent")
            return
        self._replication.traffic.frame_out(len(frame))
        self._enqueue(frame)

    def _enqueue(self, item: "bytes | _Ping | _Pong") -> None:
        self._outgoing.append(item)
        self._outgoing_ready.set()

    async def _write(self) -> None:
        while True:
            await self._outgoing_ready.wait()
            self._outgoing_ready.clear()
            while self._outgoing:
                match self._outgoing.popleft():
                    case _Ping(data=data):
                        await self._websocket.ping(data)
                    case _Pong(data=data):
                        await self._websocket.pong(data)
                    case frame:
                        await self._websocket.send_bytes(frame)
                        self._outgoing_bytes -= len(frame)


@dataclass(slots=True)
class _Ping:
    """A question for a sign of life, waiting to be sent."""

    data: bytes


@dataclass(slots=True)
class _Pong:
    """The answer to such a question, which repeats its data (RFC 6455, section 5.5.3)."""

    data: bytes
