"""The world of one run: devices, courier, time, chronicle and trace, all grown from one seed."""

from pathlib import Path
from typing import TYPE_CHECKING

from node.store.authoring import Author
from simulations.kernel.clock import TrueTime
from simulations.kernel.streams import SeededStream
from simulations.kernel.trace import Trace
from simulations.oracle.chronicle import Chronicle
from simulations.world.courier import Courier
from simulations.world.device import Device
from simulations.world.plan import Plan
from simulations.world.realm import SimulatedRealm, found_realm
from simulations.world.transfer import Transfer
from sync.batch import open_batch

if TYPE_CHECKING:
    from simulations.world.restore import Backup

#: 2026-11-21T00:00:00Z, so that a run reads like a day.
START_MILLISECONDS = 1_795_219_200_000


class World:
    """What all actions share."""

    def __init__(self, seed: int, plan: Plan, home: Path) -> None:
        self.seed = seed
        self.plan = plan
        self.home = home
        self.random = SeededStream(seed, "world")
        self.true_time = TrueTime(START_MILLISECONDS)
        self.trace = Trace()
        self.realm: SimulatedRealm = found_realm(seed, plan.devices, START_MILLISECONDS)
        self.chronicle = Chronicle(lambda raw: open_batch(raw, self.realm.realm_id, self.realm.roster.sign_public))
        self.courier = Courier(SeededStream(seed, "courier"), loss=plan.loss, duplication=plan.duplication)
        self.transfers: list[Transfer] = []
        self.devices: list[Device] = []
        self.backup_by_device: dict[int, Backup] = {}
        # Whether batches were written again: what their readers had seen is then called otherwise.
        self.forked = False
        # Whether a page may hold what its sender lost afterwards, so that no batch will ever bring it to others.
        self.pages_adrift = False
        self._founded = 0
        while self._founded < plan.devices - plan.late_devices:
            self.add_device()

    @property
    def is_complete(self) -> bool:
        """Tell whether every device of the realm has begun."""
        return self._founded == self.plan.devices

    def clone(self, original: Device) -> Device:
        """Let a copy of a device's files run beside it, as after a disk was copied to another machine."""
        copy = self._begin(original.author, original)
        self.trace.reached("cloned")
        self.trace.record(f"{copy.name} begins as a copy of {original.name}", copy.origin)
        return copy

    def add_device(self) -> Device:
        """Give the next device of the realm an empty store."""
        keys = self.realm.keys[self._founded]
        self._founded += 1
        author = Author(device_id=keys.device_id, realm_id=self.realm.realm_id, sign_seed=keys.sign_seed)
        device = self._begin(author, None)
        self.trace.record(f"{device.name} begins, clock off by {device.clock.offset_milliseconds} ms", device.origin)
        return device

    def _begin(self, author: Author, original: Device | None) -> Device:
        index = len(self.devices)
        skew = SeededStream(self.seed, f"skew {index}").between(
            -self.plan.skew_milliseconds_max, self.plan.skew_milliseconds_max
        )
        is_earlier = SeededStream(self.seed, f"version {index}").chance(self.plan.earlier)
        device = Device(
            index=index,
            seed=self.seed,
            home=self.home,
            author=author,
            true_time=self.true_time,
            skew_milliseconds=skew,
            is_earlier=is_earlier,
            original=original,
        )
        self.devices.append(device)
        return device

    def close(self) -> None:
        """Close every store."""
        for device in self.devices:
            device.close()
