"""Enumerates what a power cut may leave of a recorded run: every operation, every way of surviving, by seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from simulations.crash_images.disk import Disk, Files, Survival
from simulations.crash_images.operations import Flush, FlushDirectory, Mark, read_trace
from simulations.crash_images.recording import Recording
from simulations.kernel.streams import SeededStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One directory as a power cut may leave it, and which steps had begun and been acknowledged by then."""

    files: Files
    operation: int
    survival: Survival
    acknowledged: int
    begun: int

    @property
    def digest(self) -> bytes:
        """What tells two images apart; the same files need not be looked at twice."""
        whole = blake2b(digest_size=16)
        for name, content in sorted(self.files.items()):
            whole.update(len(name).to_bytes(4, "big") + name.encode() + len(content).to_bytes(8, "big") + content)
        return whole.digest() + bytes([self.acknowledged, self.begun])


def images(recording: Recording, seed: int, draws: int = 1, share: float = 1.0) -> Iterator[Image]:
    """Yield every image of a recorded run once: after each operation, `draws` of each way that is drawn.

    With a `share` below 1 only so many of the operations are looked at, as drawn from the seed.
    """
    disk = Disk.holding(recording.initial)
    acknowledged = begun = 0
    seen: set[bytes] = set()
    random = SeededStream(seed, f"images of {recording.scenario}")
    for number, operation in enumerate(read_trace(recording.trace, list(recording.initial))):
        disk.do(operation)
        if isinstance(operation, Mark):
            begun, acknowledged = (operation.number + 1) // 2, operation.number // 2
        if not random.chance(share):
            continue
        for survival in Survival:
            # Right after a flush, and after a mark, nothing new is unknown; what is certain is still looked at.
            certain = survival in (Survival.NONE, Survival.ALL)
            if not certain and isinstance(operation, Flush | FlushDirectory | Mark):
                continue
            for draw in range(1 if certain else draws):
                image = Image(
                    files=disk.after_power_cut(survival, random.child(f"{number} {survival.name} {draw}")),
                    operation=number,
                    survival=survival,
                    acknowledged=acknowledged,
                    begun=begun,
                )
                if image.digest not in seen:
                    seen.add(image.digest)
                    yield image
