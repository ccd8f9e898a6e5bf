"""Carries out a call plan: begins calls when they are due, ends those that have become needless."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from crdt.identifiers import DeviceId
from node.clock import Clock
from node.discovery.call_plan import CallPlan, Outcome
from node.entropy import Entropy
from node.transport.address import Address

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Called:
    """What came of a call, and who was met."""

    outcome: Outcome
    device_id: DeviceId | None = None


class Calling:
    """The plan of one node, a task for each of its calls, and one that waits for the next."""

    def __init__(
        self, own_id: DeviceId, call: Callable[[Address], Coroutine[None, None, Called]], clock: Clock, entropy: Entropy
    ) -> None:
        """`call` makes one attempt, returns when whatever came of it has ended, and raises nothing but defects."""
        self._plan = CallPlan(own_id)
        self._call = call
        self._clock = clock
        self._entropy = entropy
        # All of them, and of these the ones that have not become a session.
        self._tasks: set[asyncio.Task[Called]] = set()
        self._attempt_by_address: dict[Address, asyncio.Task[Called]] = {}
        self._woken = asyncio.Event()
        self._waiter: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to call."""
        self._waiter = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End every call."""
        tasks = [*self._tasks, *([self._waiter] if self._waiter is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def addresses(self) -> list[Address]:
        """Return every address that is called when there is need."""
        return self._plan.addresses()

    # What becomes known

    def configure(self, address: Address) -> None:
        """The person named an address: it is called for as long as the node runs."""
        self._plan.configure(address, self._now())
        self._woken.set()

    def remember(self, met: Iterable[tuple[DeviceId, Address]]) -> None:
        """Sessions with these devices were had at these addresses in earlier runs."""
        for device_id, address in met:
            self._plan.remember(device_id, address, self._now())
        self._woken.set()

    def sighted(self, device_id: DeviceId, source: str, addresses: Sequence[Address]) -> None:
        """The device is said to be at these addresses, by whoever speaks on the interface `source`."""
        self._plan.sight(device_id, source, addresses, self._now())
        self._woken.set()

    def withdrawn(self, device_id: DeviceId, source: str) -> None:
        """The device is said to have left the interface."""
        self._plan.withdraw(device_id, source)

    def source_gone(self, source: str) -> None:
        """The interface is gone."""
        self._plan.forget_source(source)

    def keep_only(self, devices: Collection[DeviceId]) -> None:
        """Call nobody who is not among these devices."""
        self._plan.keep_only(devices)

    # What happens

    def connected(self, device_id: DeviceId, via: Address | None) -> None:
        """A session with a device began, by the call to `via` or by one from the other end; end its other calls."""
        if via is not None:
            self._attempt_by_address.pop(via, None)
        for address in self._plan.connected(device_id, via):
            if (task := self._attempt_by_address.get(address)) is not None:
                task.cancel()

    def disconnected(self, device_id: DeviceId, *, steady: bool) -> None:
        """The session is over; `steady` says that it had lasted."""
        self._plan.disconnected(device_id, self._now(), steady=steady)
        self._woken.set()

    def doubt(self, device_id: DeviceId) -> None:
        """The device's connection does not answer."""
        self._plan.doubt(device_id, self._now())
        self._woken.set()

    def network_changed(self) -> None:
        """This device has other addresses than before, or woke up: attempts that were under way begin anew."""
        for task in self._attempt_by_address.values():
            task.cancel()
        self._plan.network_changed(self._now())
        self._woken.set()

    # The calls

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            now = self._now()
            for address in self._plan.due(now):
                task = self._attempt_by_address[address] = asyncio.create_task(self._call(address))
                self._tasks.add(task)
                task.add_done_callback(partial(self._done, address))
            next_at = self._plan.next_seconds(now)
            try:
                async with asyncio.timeout(None if next_at is None else max(0.0, next_at - now)):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _done(self, address: Address, task: "asyncio.Task[Called]") -> None:
        self._tasks.discard(task)
        if self._attempt_by_address.get(address) is task:
            del self._attempt_by_address[address]
        called = Called(Outcome.NEEDLESS)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("defect in a call", extra={"address": str(address)}, exc_info=error)
            called = Called(Outcome.UNREACHABLE)
        elif not task.cancelled():
            called = task.result()
        jitter = int.from_bytes(self._entropy.take(4), "big") / 2**32
        self._plan.ended(address, called.outcome, called.device_id, self._now(), jitter)
        self._woken.set()

    def _now(self) -> float:
        return self._clock.monotonic_seconds()
