"""Decides which address to call when. No clock, no socket: instants are monotonic seconds, given as arguments.

1. A device that is connected is not called, unless its connection is in doubt.
2. Where a session was had before is tried first; another address of the same device follows STAGGER_SECONDS later.
3. Of two devices that find each other the one with the lower id calls; the other one only after YIELD_SECONDS.
4. What was merely sighted anybody may have forged: how many such addresses are kept and tried for a device is bounded.
5. After a failure an address rests, twice as long each time; a change of this device's network ends every rest.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from crdt.identifiers import DeviceId
from node.transport.address import Address

# The first rest is short, since a peer that restarts is back at once; at a minute an absent one costs next to nothing.
REST_SECONDS_MIN = 0.25
REST_SECONDS_MAX = 60.0
# Where a device was once, it may never be again; if it comes back it calls, or announces itself.
REMEMBERED_REST_SECONDS_MAX = 300.0
# "Happy Eyeballs" (RFC 8305) starts the next address after 250 ms; a handshake on a local network takes some 10 ms.
STAGGER_SECONDS = 0.25
CALLS_TO_ONE_DEVICE_MAX = 2
YIELD_SECONDS = 0.5
# One interface announces a handful of addresses; a device with more than this is a flood.
SIGHTED_AT_ONCE_MAX = 4
SIGHTED_ADDRESSES_MAX = 8
# Trials of addresses where no session was ever had, for each device.
TRIALS_AT_ONCE_MAX = 6
TRIAL_SECONDS = 10.0
# A sighted address that failed this often is forgotten until it is sighted again.
SIGHTED_FAILURES_MAX = 5
# A bucket that was filled drop by drop is full although the sum of the drops is a rounding short of it.
_WHOLE = 1 - 1e-9


class Outcome(Enum):
    """How a call ended, which says when the next one is worth it. The first two had become a session."""

    MET = auto()
    BRIEF = auto()
    REFUSED = auto()
    UNREACHABLE = auto()
    OURSELVES = auto()
    NEEDLESS = auto()


_HAD_SESSION = (Outcome.MET, Outcome.BRIEF)


@dataclass(slots=True, kw_only=True)
class _Target:
    """One address: who is expected or was met there, why it is known, and when it may be called again."""

    address: Address
    device_id: DeviceId | None = None
    configured: bool = False
    met: bool = False
    sighted_by: set[str] = field(default_factory=set)
    failures: int = 0
    due_seconds: float
    began_seconds: float | None = None

    @property
    def is_trial(self) -> bool:
        """Whether nothing but an unproven sighting speaks for this address."""
        return not (self.configured or self.met)

    @property
    def longest_seconds(self) -> float:
        """The longest rest after a failure."""
        return REST_SECONDS_MAX if self.configured else REMEMBERED_REST_SECONDS_MAX

    @property
    def rank(self) -> tuple[bool, bool, int, float]:
        """Least first: where a session was had, what the person said, what failed least, what is due longest."""
        return (not self.met, not self.configured, self.failures, self.due_seconds)


@dataclass(slots=True)
class _Trials:
    """A bucket of TRIALS_AT_ONCE_MAX trials, refilled by one each TRIAL_SECONDS."""

    left: float = float(TRIALS_AT_ONCE_MAX)
    at_seconds: float = 0.0

    def ready_seconds(self, now: float) -> float:
        """Return when the next trial is allowed."""
        self._refill(now)
        return now if self.left >= _WHOLE else now + (1 - self.left) * TRIAL_SECONDS

    def take(self, now: float) -> None:
        """Spend one."""
        self._refill(now)
        self.left -= 1

    def _refill(self, now: float) -> None:
        self.left = min(float(TRIALS_AT_ONCE_MAX), self.left + max(0.0, now - self.at_seconds) / TRIAL_SECONDS)
        self.at_seconds = now


class CallPlan:
    """All addresses that this device knows, and what came of calling them."""

    def __init__(self, own_id: DeviceId) -> None:
        self._own_id = own_id
        self._target_by_address: dict[Address, _Target] = {}
        self._connected: set[DeviceId] = set()
        self._doubted: set[DeviceId] = set()
        self._trials_by_device: dict[DeviceId, _Trials] = {}
        self._ours: set[Address] = set()

    # What is known

    def configure(self, address: Address, now: float) -> None:
        """The person named an address: it is called for as long as the node runs, whoever answers."""
        self._target(address, now).configured = True

    def remember(self, device_id: DeviceId, address: Address, now: float) -> None:
        """A session with the device was had there, in this run or an earlier one."""
        target = self._target(address, now + self._yield_seconds(device_id))
        target.device_id, target.met = device_id, True

    def sight(self, device_id: DeviceId, source: str, addresses: Sequence[Address], now: float) -> None:
        """The device, or somebody who pretends to be it, says on the interface `source` that these are its addresses.

        They take the place of what the same source said of it before.
        """
        shown = [address for address in addresses if address not in self._ours][:SIGHTED_AT_ONCE_MAX]
        self._unsight(device_id, source, shown)
        for address in shown:
            target = self._target_by_address.get(address)
            if target is None:
                if self._sighted_count(device_id) >= SIGHTED_ADDRESSES_MAX:
                    continue
                target = self._target(address, now + self._yield_seconds(device_id))
            if target.is_trial:
                target.device_id = device_id
            elif target.device_id in (device_id, None) and target.failures:
                # It is there again: the rest need not be waited for. At most one such call a second.
                target.due_seconds = min(target.due_seconds, now + 1.0)
            target.sighted_by.add(source)

    def withdraw(self, device_id: DeviceId, source: str) -> None:
        """The device is said to be gone from this interface."""
        self._unsight(device_id, source, ())

    def forget_source(self, source: str) -> None:
        """The interface is gone, and with it what was sighted there."""
        for device_id in {target.device_id for target in self._target_by_address.values()}:
            if device_id is not None:
                self._unsight(device_id, source, ())

    def keep_only(self, devices: Collection[DeviceId]) -> None:
        """Forget every device that is not among these; an address that the person named is nobody's then."""
        for target in list(self._target_by_address.values()):
            if target.device_id is not None and target.device_id not in devices:
                target.device_id, target.met = None, False
                target.sighted_by.clear()
                self._drop_if_baseless(target)
        self._trials_by_device = {key: kept for key, kept in self._trials_by_device.items() if key in devices}

    # What happens

    def connected(self, device_id: DeviceId, via: Address | None) -> list[Address]:
        """A session with the device began, by the call to `via` or by one from the other end.

        Returns where else the device is being called, which is needless now.
        """
        self._connected.add(device_id)
        self._doubted.discard(device_id)
        if via is not None and (target := self._target_by_address.get(via)) is not None:
            target.device_id, target.met, target.began_seconds = device_id, True, None
        return [target.address for target in self._targets_of(device_id) if target.began_seconds is not None]

    def disconnected(self, device_id: DeviceId, now: float, *, steady: bool) -> None:
        """The session is over. One that had lasted (`steady`) is resumed at once; others rest as they would have."""
        self._connected.discard(device_id)
        self._doubted.discard(device_id)
        if steady:
            self._wake(self._targets_of(device_id), now)

    def doubt(self, device_id: DeviceId, now: float) -> None:
        """The device's connection does not answer: call beside it, since it may be dead without anybody's word."""
        if device_id in self._connected:
            self._doubted.add(device_id)
            self._wake(self._targets_of(device_id), now)

    def network_changed(self, now: float) -> None:
        """This device has other addresses, or woke up: whatever failed before may be reached now."""
        self._ours.clear()
        self._trials_by_device.clear()
        self._wake(self._target_by_address.values(), now)

    # What to do

    def due(self, now: float) -> list[Address]:
        """Return the addresses to call now; each counts as being called until `ended`."""
        begun = []
        for target in sorted(self._target_by_address.values(), key=lambda target: target.rank):
            ready = self._ready_seconds(target, now)
            if ready is not None and ready <= now:
                if target.is_trial and target.device_id is not None:
                    self._trials(target.device_id).take(now)
                target.began_seconds = now
                begun.append(target.address)
        return begun

    def next_seconds(self, now: float) -> float | None:
        """Return when `due` will next have something to say if nothing happens until then, None for never."""
        ready = (self._ready_seconds(target, now) for target in self._target_by_address.values())
        return min((seconds for seconds in ready if seconds is not None), default=None)

    def ended(self, address: Address, outcome: Outcome, device_id: DeviceId | None, now: float, jitter: float) -> None:
        """A call is over, and `device_id` was met or nobody; `jitter` is random, from 0 to 1."""
        target = self._target_by_address.get(address)
        if target is None:
            return
        if outcome not in _HAD_SESSION:
            # Otherwise the call ended when the session began, and there may be another one by now.
            target.began_seconds = None
        if outcome is Outcome.OURSELVES:
            self._ours.add(address)
            del self._target_by_address[address]
            return
        if device_id is not None:
            target.device_id, target.met = device_id, True
        self._rest(target, outcome, now, jitter)
        if target.is_trial and target.failures >= SIGHTED_FAILURES_MAX:
            del self._target_by_address[address]
        else:
            self._drop_if_baseless(target)

    @staticmethod
    def _rest(target: _Target, outcome: Outcome, now: float, jitter: float) -> None:
        match outcome:
            case Outcome.NEEDLESS:
                return
            case Outcome.MET:
                target.failures = 0
                target.due_seconds = now + rest_seconds(0, jitter)
            case _:
                target.due_seconds = now + rest_seconds(target.failures, jitter, target.longest_seconds)
                target.failures += 1

    # What others ask

    def addresses(self) -> list[Address]:
        """Return every address that may be called."""
        return list(self._target_by_address)

    def met_addresses(self, device_id: DeviceId) -> list[Address]:
        """Return where sessions with the device were had."""
        return [target.address for target in self._targets_of(device_id) if target.met]

    # Inside

    def _ready_seconds(self, target: _Target, now: float) -> float | None:
        """Return when the target may be called; None as long as nothing else happens."""
        device_id = target.device_id
        if target.began_seconds is not None:
            return None
        if device_id is None:
            return target.due_seconds
        if device_id in self._connected and device_id not in self._doubted:
            return None
        begun = [one.began_seconds for one in self._targets_of(device_id) if one.began_seconds is not None]
        if len(begun) >= CALLS_TO_ONE_DEVICE_MAX:
            return None
        ready = max((target.due_seconds, *(seconds + STAGGER_SECONDS for seconds in begun)))
        return max(ready, self._trials(device_id).ready_seconds(now)) if target.is_trial else ready

    def _target(self, address: Address, due_seconds: float) -> _Target:
        return self._target_by_address.setdefault(address, _Target(address=address, due_seconds=due_seconds))

    def _targets_of(self, device_id: DeviceId) -> list[_Target]:
        return [target for target in self._target_by_address.values() if target.device_id == device_id]

    def _sighted_count(self, device_id: DeviceId) -> int:
        return sum(1 for target in self._targets_of(device_id) if target.is_trial)

    def _trials(self, device_id: DeviceId) -> _Trials:
        return self._trials_by_device.setdefault(device_id, _Trials())

    def _yield_seconds(self, device_id: DeviceId | None) -> float:
        return YIELD_SECONDS if device_id is not None and self._own_id > device_id else 0.0

    def _wake(self, targets: Iterable[_Target], now: float) -> None:
        for target in targets:
            target.failures = 0
            # What the person named may be known to this end alone, so there is nobody to yield to.
            wait_seconds = 0.0 if target.configured else self._yield_seconds(target.device_id)
            target.due_seconds = min(target.due_seconds, now + wait_seconds)

    def _unsight(self, device_id: DeviceId, source: str, but: Collection[Address]) -> None:
        for target in self._targets_of(device_id):
            if target.address not in but:
                target.sighted_by.discard(source)
                self._drop_if_baseless(target)

    def _drop_if_baseless(self, target: _Target) -> None:
        if target.is_trial and not target.sighted_by and target.began_seconds is None:
            del self._target_by_address[target.address]


def rest_seconds(failures: int, jitter: float, longest_seconds: float = REST_SECONDS_MAX) -> float:
    """Return how long to rest after one failure more than `failures`: doubling up to `longest_seconds`.

    `jitter`, from 0 to 1, shortens it by up to half; without it two devices would for ever call each other at the same
    instant.
    """
    longest = min(longest_seconds, REST_SECONDS_MIN * float(1 << min(failures, 16)))
    return longest * (0.5 + jitter / 2)
