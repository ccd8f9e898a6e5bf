"""A disk as the system promises it: what was flushed is there after a power cut, of the rest anything may be.

After ALICE (Pillai et al., OSDI 2014), on the weakest promises that POSIX makes: content is durable after a flush of
its file, a name after a flush of its directory, a rename happens or does not, and of what was not flushed any part may
have reached the disk, in any order, cut at any sector.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from simulations.crash_images.operations import Flush, FlushDirectory, Mark, Operation, Rename, Resize, Write
from simulations.kernel.streams import SeededStream

SECTOR_BYTES = 512

Step = TypeVar("Step")

#: The files of a directory by name.
Files = dict[str, bytes]


class Survival(Enum):
    """What becomes of operations that were not flushed when the power goes."""

    NONE = "nothing of it"
    ALL = "all of it"
    SOME = "some operations"
    TORN = "some sectors"
    MIXED = "each file otherwise"


@dataclass(slots=True)
class Disk:
    """What is durable, and what was done since."""

    contents: dict[int, bytes]
    names: dict[str, int]
    pending: dict[int, list[Write | Resize]] = field(default_factory=dict)
    pending_names: list[Rename] = field(default_factory=list)

    @classmethod
    def holding(cls, files: Mapping[str, bytes]) -> "Disk":
        """Return a disk that holds files durably, numbered in the order given."""
        return cls(contents=dict(enumerate(files.values())), names={name: number for number, name in enumerate(files)})

    def do(self, operation: Operation) -> None:
        """Let the running system see an operation."""
        match operation:
            case Write(file, _, _) | Resize(file, _):
                self.pending.setdefault(file, []).append(operation)
            case Rename():
                self.pending_names.append(operation)
            case Flush(file):
                done = self.pending.pop(file, None)
                if done is not None:
                    self.contents[file] = _after(self.contents.get(file, b""), done)
            case FlushDirectory():
                _rename(self.names, self.pending_names)
                self.pending_names = []
            case Mark():
                pass

    def after_power_cut(self, survival: Survival, random: SeededStream) -> Files:
        """Return the files that are there when the power comes back."""
        names = dict(self.names)
        _rename(names, _some(self.pending_names, _drawn(survival, random), random))
        files: Files = {}
        for name, file in sorted(names.items()):
            done, fate = self.pending.get(file, []), _drawn(survival, random)
            kept = _torn(done, random) if fate is Survival.TORN else _some(done, fate, random)
            files[name] = _after(self.contents.get(file, b""), kept)
        return files


def _drawn(survival: Survival, random: SeededStream) -> Survival:
    if survival is not Survival.MIXED:
        return survival
    return random.choice((Survival.NONE, Survival.ALL, Survival.SOME, Survival.TORN))


def _some(done: list[Step], survival: Survival, random: SeededStream) -> list[Step]:
    match survival:
        case Survival.NONE:
            return []
        case Survival.ALL:
            return done
        case _:
            likely = random.choice((0.1, 0.5, 0.9))
            return [step for step in done if random.chance(likely)]


def _torn(done: list[Write | Resize], random: SeededStream) -> list[Write | Resize]:
    likely = random.choice((0.2, 0.5, 0.8))
    kept: list[Write | Resize] = []
    for step in done:
        match step:
            case Write(file, offset, data):
                start = 0
                while start < len(data):
                    end = min(len(data), start + SECTOR_BYTES - (offset + start) % SECTOR_BYTES)
                    if random.chance(likely):
                        kept.append(Write(file, offset + start, data[start:end]))
                    start = end
            case Resize():
                if random.chance(likely):
                    kept.append(step)
    return kept


def _after(content: bytes, done: list[Write | Resize]) -> bytes:
    if not done:
        return content
    changed = bytearray(content)
    for step in done:
        match step:
            case Write(_, offset, data):
                changed.extend(bytes(max(0, offset - len(changed))))
                changed[offset : offset + len(data)] = data
            case Resize(_, length):
                changed.extend(bytes(max(0, length - len(changed))))
                del changed[length:]
    return bytes(changed)


def _rename(file_by_name: dict[str, int], done: list[Rename]) -> None:
    for step in done:
        for name, file in step.file_by_name:
            if file is None:
                file_by_name.pop(name, None)
            else:
                file_by_name[name] = file
