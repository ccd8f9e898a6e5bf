"""Looks at a home from outside, without its passphrase: who may read it, who owns it now, and room to write."""

import os
import shlex
import shutil
import stat
from pathlib import Path

from node.doctor.found import bad, good, notice, sized, unknown
from node.doctor.service_checks import service_findings
from node.errors import HostError
from node.home import Home
from node.keys.key_file import read_device_id
from node.requests.doctor import Finding

# A commit needs room for its pages in the write-ahead log and again in the file.
ROOM_BYTES_MIN = 32 * 2**20
ROOM_BYTES_GOOD = 512 * 2**20
# Programs that copy files behind a running program's back; a database copied in the middle of a write is no database.
_COPYING_FOLDERS = frozenset({"Dropbox", "OneDrive", "Google Drive", "Nextcloud", "iCloud Drive", "Mobile Documents"})
_SYNCTHING_MARK = ".stfolder"


def home_findings(home: Home) -> list[Finding]:
    """Return what can be said of a home that exists."""
    return [
        _directory(home),
        _files(home),
        _key_file(home),
        _owner(home),
        *_leftovers(home),
        *service_findings(home),
        *_copied(home),
        _room(home),
    ]


def no_home(home: Home) -> Finding:
    """Return the finding of a directory in which no device was set up."""
    if home.store_file.exists():
        return bad(
            "home",
            f"{home.directory} holds a store, but the key file {home.key_file.name} that opens it is missing.",
            f"Restore {home.key_file.name} from a backup into {home.directory}.",
        )
    return bad("home", f"There is no device in {home.directory}.", "nuthatch init, or nuthatch join to add one")


def _directory(home: Home) -> Finding:
    try:
        status = home.directory.stat()
    except OSError as error:
        return bad("home", f"The directory {home.directory} cannot be read: {error.strerror}.", "Check the path.")
    if status.st_uid != os.getuid():
        return bad(
            "home",
            f"The directory {home.directory} belongs to another user.",
            f"sudo chown -R {os.getuid()} {shlex.quote(str(home.directory))}",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        return bad(
            "home",
            f"Others on this computer can look into {home.directory} (mode {stat.S_IMODE(status.st_mode):04o}).",
            f"chmod 700 {shlex.quote(str(home.directory))}",
        )
    return good("home", f"{home.directory} is yours alone.")


def _files(home: Home) -> Finding:
    try:
        open_to_others = sorted(
            path.name
            for path in home.directory.iterdir()
            if not path.is_symlink() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        )
    except OSError as error:
        return bad("files", f"The files of {home.directory} cannot be listed: {error.strerror}.", "Check the disk.")
    if not open_to_others:
        return good("files", "No file in it can be read by others.")
    quoted = " ".join(shlex.quote(str(home.directory / name)) for name in open_to_others)
    return bad("files", f"Others on this computer can read {', '.join(open_to_others)}.", f"chmod 600 {quoted}")


def _key_file(home: Home) -> Finding:
    try:
        device_id = read_device_id(home.key_file)
    except HostError as error:
        return bad("key", str(error), f"Restore {home.key_file.name} from a backup.")
    return good("key", f"The key file of device {device_id.hex()[:12]} is whole.")


def _owner(home: Home) -> Finding:
    try:
        owned = home.is_owned()
    except HostError as error:
        return bad("owner", str(error), "Check who may write in the directory, and whether the disk is full.")
    reachable = home.api_file.exists()
    if owned and reachable:
        return good("owner", "A node runs on it.")
    if owned:
        return notice("owner", "Another process works on it and cannot be asked; it may be about to end.")
    if reachable:
        return notice("owner", "No node runs on it; the last one did not end in good order, which harms nothing.")
    return good("owner", "No other process works on it.")


def _leftovers(home: Home) -> list[Finding]:
    """Tell of half-made files: each is made under another name first, so what has its own name is whole."""
    names = sorted(
        path.name
        for pattern in (f"{home.store_file.name}.new*", f".{home.key_file.name}.*", f".{home.owner_key_file.name}.*")
        for path in home.directory.glob(pattern)
    )
    if not names:
        return []
    quoted = " ".join(shlex.quote(str(home.directory / name)) for name in names)
    return [notice("leftovers", f"Something was interrupted and left {', '.join(names)} behind.", f"rm {quoted}")]


def _copied(home: Home) -> list[Finding]:
    above = [home.directory, *home.directory.parents]
    copying = next((path for path in above if path.name in _COPYING_FOLDERS or (path / _SYNCTHING_MARK).exists()), None)
    if copying is None:
        return []
    return [
        bad(
            "place",
            f"{copying} is copied to other computers by another program, which breaks a store that is in use.",
            f"Move {home.directory} elsewhere, and start Nuthatch with --home.",
        )
    ]


def _room(home: Home) -> Finding:
    try:
        free_bytes = shutil.disk_usage(home.directory).free
    except OSError as error:
        return unknown("disk", f"How much room there is cannot be told: {error.strerror}.")
    store_bytes = _bytes_of(home.store_file)
    if free_bytes < ROOM_BYTES_MIN:
        return bad(
            "disk",
            f"The disk is full: {sized(free_bytes)} are free. Nothing is lost, and nothing new can be kept.",
            "Make room; the node goes on by itself.",
        )
    if free_bytes < ROOM_BYTES_GOOD:
        return notice("disk", f"Only {sized(free_bytes)} are free on the disk.", "Make room before it is full.")
    return good("disk", f"The store takes {sized(store_bytes)}; {sized(free_bytes)} are free.")


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
