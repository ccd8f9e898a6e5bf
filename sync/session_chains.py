"""Compares with the peer a chain of which two versions exist, until the first batch that differs is known.

1. One chain is compared at a time, each once a session.
2. Where the peer asks about a chain of this very device, this device compares it as well: it may have forked itself.
3. A finding comes with the peer's own signed batch; nothing is concluded from what a peer merely says.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from crdt.identifiers import DeviceId, Origin, origin_device
from sync.chain_search import ChainSearch
from sync.effects import ForkFound, ReadChain
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.identifiers import BatchHash
from sync.limits import CHAIN_ASKS_MAX, CHAIN_BATCHES_MAX
from sync.messages import ChainAnswer, ChainAsk
from sync.streams import Stream

#: What follows from an input: messages to send and effects to perform.
ChainStep = ChainAsk | ChainAnswer | ReadChain | ForkFound


class Chains:
    """The comparing of chains in one session."""

    def __init__(self) -> None:
        self._search: ChainSearch | None = None
        self._ours: Mapping[int, BatchHash] = {}
        self._answer: ChainAnswer | None = None
        self._evidence: bytes | None = None
        self._last = False
        self._awaited: ChainAsk | None = None
        self._waiting: deque[ChainSearch] = deque()
        self._begun: set[tuple[Stream, Origin]] = set()
        self.found: list[ForkFound] = []
        self._asks = self._batches_asked = 0

    @property
    def compared(self) -> ChainSearch | None:
        """The chain that is being compared."""
        return self._search

    def concerns(self, stream: Stream) -> bool:
        """Tell whether a chain of `stream` is compared or was found to differ in this session."""
        return any(stream == begun for begun, _ in self._begun)

    def explain(self, own_device: DeviceId) -> str | None:
        """Return what a person is told of it, None where there is nothing to tell."""
        if self._search is not None and origin_device(self._search.origin) == own_device:
            return "comparing this device's own changes: it was set back, or a copy of it is in use"
        if self._search is not None:
            return "comparing changes of which two versions exist"
        if not self.found:
            return None
        fork = self.found[-1]
        whose = "this device" if origin_device(fork.origin) == own_device else f"the device {fork.origin.hex()[:8]}"
        return (
            f"{whose} wrote two versions of its changes of {fork.stream.title} from number {fork.seq} on "
            f"({fork.ours.hex()[:8]} here, {fork.theirs.hex()[:8]} there); both are kept"
        )

    def suspect(self, stream: Stream, origin: Origin, highest: int) -> list[ChainStep]:
        """Two versions of a chain may exist: compare it up to `highest`, which both ends hold."""
        if highest < 1 or (stream, origin) in self._begun:
            return []
        self._begun.add((stream, origin))
        self._waiting.append(ChainSearch(stream, origin, highest))
        return self._next()

    def asked(self, ask: ChainAsk) -> ReadChain:
        """The peer asks for hashes, and perhaps for one batch. Raises RemoteProtocolError where it asks too much."""
        self._asks += 1
        self._batches_asked += bool(ask.batch)
        if self._asks > CHAIN_ASKS_MAX or self._batches_asked > CHAIN_BATCHES_MAX:
            raise RemoteProtocolError("the peer asks for more of chains than comparing them could need")
        return ReadChain(
            stream=ask.stream, origin=Origin(ask.origin), seqs=tuple(ask.seqs), batch=ask.batch, answering=True
        )

    def answered(self, answer: ChainAnswer, items: Sequence[bytes]) -> ReadChain:
        """The peer answered; `items` are of its envelope. Raises RemoteProtocolError if nothing like it was asked."""
        asked, self._awaited = self._awaited, None
        if asked is None or (answer.stream, answer.origin) != (asked.stream, asked.origin) or len(items) > 1:
            raise RemoteProtocolError("the peer answered about a chain that it was not asked about")
        if not {seq for seq, _ in answer.hashes} <= set(asked.seqs) or (items and not asked.batch):
            raise RemoteProtocolError("the peer answered about other batches than it was asked about")
        self._answer, self._evidence, self._last = answer, items[0] if items else None, bool(asked.batch)
        return ReadChain(
            stream=answer.stream, origin=Origin(answer.origin), seqs=tuple(asked.seqs), batch=0, answering=False
        )

    def read(self, effect: ReadChain, hashes: Mapping[int, BatchHash], envelope: bytes) -> list[ChainStep]:
        """Take what the own log holds, with the sealed batch where one was asked for (else nothing)."""
        if effect.answering:
            listed = [(seq, bytes(batch_hash)) for seq, batch_hash in sorted(hashes.items())]
            return [ChainAnswer(stream=effect.stream, origin=effect.origin, hashes=listed, envelope=envelope)]
        search, answer, evidence = self._search, self._answer, self._evidence
        if search is None or answer is None:
            raise LocalProtocolError("a chain was read that nobody compares")
        self._answer = None
        theirs = {seq: BatchHash(batch_hash) for seq, batch_hash in answer.hashes}
        if self._last:
            # Without the batch itself the peer's word proves nothing: it may have dropped it, or never have had it.
            self._search = None
            finding = self._finding(search, hashes, theirs, evidence) if evidence is not None else []
            return [*finding, *self._next()]
        search.learned(hashes, theirs)
        if not search.ended:
            return [self._ask(search.probes(), 0)]
        if search.differs_at is None:
            self._search = None
            return self._next()
        return [self._ask((search.differs_at,), search.differs_at)]

    def _finding(
        self, search: ChainSearch, ours: Mapping[int, BatchHash], theirs: Mapping[int, BatchHash], evidence: bytes
    ) -> list[ForkFound]:
        seq = search.differs_at
        if seq is None or seq not in ours or seq not in theirs:
            return []
        found = ForkFound(
            stream=search.stream,
            origin=search.origin,
            seq=seq,
            ours=ours[seq],
            theirs=theirs[seq],
            evidence=evidence,
        )
        self.found.append(found)
        return [found]

    def _next(self) -> list[ChainStep]:
        if self._search is not None or not self._waiting:
            return []
        self._search = self._waiting.popleft()
        return [self._ask(self._search.probes(), 0)]

    def _ask(self, seqs: Sequence[int], batch: int) -> ChainAsk:
        if self._search is None:
            raise LocalProtocolError("nothing is being compared")
        self._awaited = ChainAsk(stream=self._search.stream, origin=self._search.origin, seqs=list(seqs), batch=batch)
        return self._awaited
