"""Tells on which machine and in which file a store lies, so that a copy of it can be told from the original."""

import fcntl
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# systemd's identity of an installation, and D-Bus's older copy of it (machine-id(5)).
_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))

# FS_IOC_GETVERSION (linux/fs.h); ext4, xfs, btrfs and f2fs answer it, others do not know it.
_GET_INODE_GENERATION = 0x80087601


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Bytes that name the machine and, on it, the file; neither depends on the file's path."""

    machine: bytes
    file: bytes


#: Tells where the store file at a path lies.
Locate = Callable[[Path], Whereabouts]


def locate(path: Path) -> Whereabouts:
    """Return the whereabouts of the file at `path`, which exists; raises OSError.

    The file is named by its file system, its inode and what tells the inode's lives apart: a rename keeps all of them,
    a copy has others. The file system's own id is used and not the device number, which may change from one start of
    the machine to the next.
    """
    inode = path.stat().st_ino
    file_system = os.statvfs(path).f_fsid
    return Whereabouts(machine=_machine(), file=f"{file_system}:{inode}:{_life(path)}".encode())


def _life(path: Path) -> str:
    """Return what differs between two files that had one inode number, one after the other.

    A file system gives the number of a deleted file to the next one, so a home that is deleted and restored may have
    the same. Linux counts the lives of an inode (its generation), macOS knows when the file was born; where there is
    neither, only the number speaks.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        born_at = getattr(os.fstat(descriptor), "st_birthtime", None)
        if born_at is not None:
            return str(born_at)
        return fcntl.ioctl(descriptor, _GET_INODE_GENERATION, bytes(8)).hex()
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _machine() -> bytes:
    for path in _MACHINE_ID_FILES:
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return text.encode()
    # Where the system has no identity of its own, its name is what tells two machines apart.
    return socket.gethostname().encode()
