"""What the machine refuses (files of others, a full disk) and how its clock stands is told of in plain sentences."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.in_process import performed
from tests.support.misfortunes import Scene, said
from tests.support.program import CONSOLE_SCRIPT, objects

DAY_NANOSECONDS = 86_400 * 10**9
# A superuser reads and writes whatever it wants, unless it gives these two up.
_AS_ANYBODY = ("setpriv", *("--bounding-set", "-dac_override,-dac_read_search"), "--inh-caps=-all")


def _as_anybody() -> Sequence[str]:
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("a superuser reads everything, and there is no setpriv to give that up")
    return _AS_ANYBODY


def _told(scene: Scene, *arguments: str) -> tuple[int, str]:
    command = [*_as_anybody(), CONSOLE_SCRIPT, "--home", str(scene.home), *arguments]
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        # As Python has it: the C library's may have gained the width of the terminal on which the tests run.
        env=dict(os.environ),
    )
    return ended.returncode, said(scene, ended.stderr)


@contextmanager
def _mode(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


UNREADABLE: tuple[tuple[str, Callable[[Scene], Path], tuple[str, ...], tuple[int, str]], ...] = (
    (
        "the home",
        lambda scene: scene.home,
        ("list",),
        (1, "The settings {home}/config.toml cannot be read: Permission denied."),
    ),
    (
        "the directory above the home that is to be made",
        lambda scene: scene.home,
        ("--home", "{home}/below", "init", "--name", "x"),
        (1, "The settings {home}/below/config.toml cannot be read: Permission denied."),
    ),
    (
        "the key file",
        lambda scene: scene.home / "device.key",
        ("list",),
        (1, "The key file {home}/device.key cannot be read: Permission denied."),
    ),
    (
        "the store",
        lambda scene: scene.home / "store.db",
        ("list",),
        (1, "The store store.db cannot be read: Permission denied."),
    ),
    (
        "the lock",
        lambda scene: scene.home / "lock",
        ("list",),
        (1, "The home {home} cannot be locked: Permission denied."),
    ),
    (
        "the file to import",
        lambda scene: Path(scene.file("memories.jsonl", '{"content": "x"}\n')),
        ("import", "{here}/memories.jsonl"),
        (1, "memories.jsonl cannot be read: Permission denied."),
    ),
)


@pytest.mark.parametrize(("what", "path_in", "command", "told"), UNREADABLE, ids=[case[0] for case in UNREADABLE])
def test_what_this_user_may_not_read_is_named(
    scene: Scene, what: str, path_in: Callable[[Scene], Path], command: Sequence[str], told: tuple[int, str]
) -> None:
    opens = scene.opens
    arguments = [
        word.replace("{home}", str(scene.home)).replace("{here}", str(scene.directory)) for word in (*command, *opens)
    ]
    with _mode(path_in(scene), 0o000):
        assert _told(scene, *arguments) == told


def test_a_passphrase_file_that_this_user_may_not_read_is_named(scene: Scene) -> None:
    option, file = scene.opens
    with _mode(Path(file), 0o000):
        told = _told(scene, "list", option, file)
    assert told == (3, "The passphrase file {here}/passphrase cannot be read: Permission denied.")


def test_a_store_that_this_user_may_not_write_is_told(scene: Scene) -> None:
    with _mode(scene.home / "store.db", 0o400):
        told = _told(scene, "list", *scene.opens)
    sentence = "The store may not be written; nothing was changed. See with `nuthatch doctor` whose files they are."
    assert told == (1, sentence)


def test_a_home_that_cannot_be_made_here_is_told(scene: Scene) -> None:
    with _mode(scene.directory, 0o500):
        code, sentence = _told(scene, "--home", str(scene.directory / "new"), "init", "--name", "x", *scene.opens)
    assert (code, sentence) == (1, "The directory {here}/new cannot be made: Permission denied.")


@pytest.fixture
def small_disk(scene: Scene) -> Iterator[Path]:
    """A disk with room for less than a store."""
    disk = scene.directory / "disk"
    disk.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(disk)], capture_output=True, check=False
    )
    if mounting.returncode:
        pytest.skip("only a superuser makes a disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_no_half_a_home(scene: Scene, small_disk: Path) -> None:
    told = _told(scene, "--home", str(small_disk / "home"), "init", "--name", "x", *scene.opens)
    assert told == (1, "The disk is full; nothing was changed. Make room and try again.")
    assert [path.name for path in (small_disk / "home").iterdir()] in ([], ["lock"])


def test_an_export_that_fills_the_disk_leaves_no_half_a_file(scene: Scene, small_disk: Path) -> None:
    source = scene.file("many.jsonl", "".join(f'{{"content": "{number} {"x" * 2000}"}}\n' for number in range(300)))
    assert performed(scene.home, "import", source, *scene.opens).exit_code == 0
    code, sentence = _told(scene, "export", "--output", str(small_disk / "out.jsonl"), *scene.opens)
    assert code == 1
    assert sentence == "{here}/disk/out.jsonl cannot be written: No space left on device. Choose another --output."
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (-400, "bear times more than a day ahead of its clock, which says 20"),
        (-0.5, "behind the latest change in the store."),
        (400, "after every change in the store"),
    ],
    ids=["a year behind", "hours behind", "a year ahead"],
)
def test_the_doctor_says_how_a_clock_stands(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, days: float, told: str
) -> None:
    moved = time.time_ns() + int(days * DAY_NANOSECONDS)
    monkeypatch.setattr(time, "time_ns", lambda: moved)
    examined = performed(scene.home, "doctor", *scene.opens)
    [clock] = [finding for finding in objects(examined.last["findings"]) if finding["name"] == "clock"]
    assert told in str(clock["says"])
    assert bool(clock["mend"]) == (clock["state"] != "good")
