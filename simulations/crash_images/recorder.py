"""Compiles the disk recorder, loads it under a process, and speaks to it from within that process."""

import ctypes
import os
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

_SOURCE = Path(__file__).with_name("disk_recorder.c")
_LIBRARY_VARIABLE = "NUTHATCH_DISK_RECORDER"


class Fault(IntEnum):
    """What happens to an armed operation."""

    NONE = 0
    NO_SPACE = 1
    INPUT_OUTPUT = 2
    SHORT_WRITE = 3
    KILL = 4
    KILL_AMID = 5


def why_not_here() -> str | None:
    """Return the sentence that says why nothing can be recorded on this machine, None where it can."""
    if not sys.platform.startswith("linux"):
        return "Crash images need Linux: the recorder is loaded before libc by LD_PRELOAD."
    if shutil.which("cc") is None:
        return "Crash images need a C compiler named cc, and there is none on the PATH."
    return None


def compile_recorder(folder: Path) -> Path:
    """Compile the recorder into `folder`; raises CalledProcessError."""
    library = folder / "disk_recorder.so"
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return library


def run_recorded(library: Path, module: str, *arguments: str) -> None:
    """Run a module of this project in a process under the recorder; raises CalledProcessError.

    The process must not inherit anything but the path: what it does has to depend on its arguments alone.
    """
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]),
        "PYTHONHASHSEED": "0",
        "LD_PRELOAD": str(library),
        _LIBRARY_VARIABLE: str(library),
    }
    subprocess.run([sys.executable, "-m", module, *arguments], env=environment, check=True)


class Recorder:
    """The recorder under this process."""

    def __init__(self) -> None:
        """Find it; raises KeyError in a process that `run_recorded` did not start."""
        self._library = ctypes.CDLL(os.environ[_LIBRARY_VARIABLE])
        self._library.recorder_mark.argtypes = [ctypes.c_uint64]
        self._library.recorder_arm.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_long]
        self._library.recorder_operations.restype = ctypes.c_long

    def watch(self, directory: Path, trace: Path | None = None) -> None:
        """From now on see what is done within `directory`, and write it to `trace` if one is given."""
        self._library.recorder_watch(os.fsencode(directory), None if trace is None else os.fsencode(trace))

    def rest(self) -> None:
        """See nothing any more."""
        self._library.recorder_watch(None, None)

    def mark(self, number: int) -> None:
        """Write a mark into the trace."""
        self._library.recorder_mark(number)

    def arm(self, fault: Fault, first: int, last: int) -> None:
        """Let `fault` strike the operations `first` to `last`, counted from 1 and from now."""
        self._library.recorder_arm(int(fault), first, last)

    def disarm(self) -> int:
        """Let everything succeed again; return how many operations there were since it was armed."""
        operations: int = self._library.recorder_operations()
        self._library.recorder_arm(int(Fault.NONE), 0, 0)
        return operations
