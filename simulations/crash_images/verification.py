"""Opens an image with the real node, checks what it holds, and lets it go on to where the recorded run ended.

Checks: `opening` (it opens, as it is), `integrity` (of the file, of digests and counts), `durability` (nothing that
was acknowledged is lost), `atomicity` (each step is there whole or not at all), `incarnation` (a power cut is not taken
for a restored copy), `version` (the program before a migration opens the store or refuses it), `going on` (the steps
that were lost, done again, lead to the same store to the byte).
"""

from dataclasses import dataclass
from pathlib import Path

from node.errors import NewerStoreError, StorageError
from node.store.store import Store
from simulations.crash_images.device import STORE_NAME, Device
from simulations.crash_images.directory import write_files
from simulations.crash_images.images import Image
from simulations.crash_images.recording import Recording
from simulations.crash_images.scenario import Material, Scenario
from simulations.violation import Violation
from sync.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Files from which the node does not live on as it must: after which operation, and what became of it."""

    scenario: str
    operation: int
    fate: str
    acknowledged: int
    begun: int
    check: str
    message: str


class Verifier:
    """Verifies the images of one recording in `folder`, which is its own."""

    def __init__(self, scenario: Scenario, recording: Recording, material: Material, folder: Path) -> None:
        self._scenario = scenario
        self._recording = recording
        self._material = material
        self._folder = folder

    def verify(self, image: Image) -> int:
        """Return how many steps the image holds; raise Violation if the node would not live on from it as it must."""
        if image.acknowledged == 0 and not self._scenario.created and STORE_NAME not in image.files:
            device = self._device(image, image.begun)
            self._check_going_on(0, device)
            device.close()
            return 0
        device = self._device(image, image.begun)
        try:
            self._open(device, image)
            check_integrity(device.store)
            done = self._steps_done(device.fingerprint(), image)
            if (cause := device.store.last_minted().cause.value) != self._recording.causes[done]:
                raise Violation("incarnation", f"a power cut is taken for a store that was replaced: {cause}")
            self._check_going_on(done, device)
        finally:
            device.close()
        self._check_older_program(image)
        return done

    def _device(self, image: Image, steps_begun: int) -> Device:
        write_files(self._folder, image.files)
        device = self._scenario.device(self._folder, self._recording.seed, steps_begun=steps_begun)
        device.turn_to(steps_begun)
        return device

    def _open(self, device: Device, image: Image) -> None:
        if not device.path.exists():
            raise Violation("opening", f"there is no store left; {', '.join(image.files) or 'nothing'} is there")
        try:
            device.open()
        except Exception as error:
            raise Violation("opening", f"the store does not open: {error}") from error

    def _steps_done(self, found: bytes, image: Image) -> int:
        """Return after which step the recorded run held what the image holds."""
        fingerprints = self._recording.fingerprints
        for done in range(image.begun, image.acknowledged - 1, -1):
            if fingerprints[done] == found:
                return done
        if found in fingerprints[: image.acknowledged]:
            lost = self._scenario.steps[image.acknowledged - 1].says
            raise Violation("durability", f"the step {lost!r} was acknowledged and is not there")
        if image.begun > image.acknowledged and not self._scenario.steps[image.begun - 1].commits_once:
            return image.acknowledged
        raise Violation("atomicity", "the store holds what it held neither before nor after the step under way")

    def _check_going_on(self, done: int, device: Device) -> None:
        for number, step in enumerate(self._scenario.steps[done:], start=done + 1):
            device.turn_to(number)
            device.components = step.components
            try:
                step.run(device, self._material)
            except Exception as error:
                raise Violation("going on", f"the step {step.says!r} fails afterwards: {error}") from error
        if device.fingerprint() != self._recording.fingerprints[-1]:
            raise Violation("going on", "the steps done again lead to another store than without the power cut")
        check_integrity(device.store)

    def _check_older_program(self, image: Image) -> None:
        """Open the image of a migration with the program that wrote the store before."""
        steps_before = max(0, image.begun - 1)
        if self._scenario.components(steps_before) == self._scenario.components(image.begun):
            return
        device = self._device(image, steps_before)
        try:
            device.open()
            if device.fingerprint() not in self._recording.fingerprints[: image.begun]:
                raise Violation("version", "the older program opens a store that is half migrated")
        except NewerStoreError:
            return
        finally:
            device.close()


def check_integrity(store: Store) -> None:
    """Check the file's pages and indexes, and each stream's digest and number of rows against its rows."""
    try:
        _check_integrity(store)
    except StorageError as error:
        raise Violation("integrity", f"the store cannot be read: {error}") from error


def _check_integrity(store: Store) -> None:
    found = store._parts.database.query("PRAGMA integrity_check")
    if found != [("ok",)]:
        raise Violation("integrity", f"the file is damaged: {found[0][0]}")
    view = store.view()
    rows = dict.fromkeys(Stream, 0)
    for table in store.catalogue.tables:
        # A damaged row that was taken out is counted until another device's copy comes in its place.
        awaited = f"SELECT 1 FROM {table.row_table} WHERE cells = x'c1'"
        rows[table.stream] += store.query(f"SELECT count(*) FROM (SELECT 1 FROM {table.name} UNION ALL {awaited})")[0][
            0
        ]
    for stream in Stream:
        state = view.stream(stream)
        if store.recompute_digest(stream) != state.digest:
            raise Violation("integrity", f"the digest of {stream.name} is not that of its rows")
        if state.rows != rows[stream]:
            raise Violation("integrity", f"{stream.name} has {rows[stream]} rows and counts {state.rows}")
