"""Closing a store frees its connection once: the binding by itself frees it twice, and may take the process along."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

#: Freed memory is filled with the byte that marks an open connection, so that freeing one again is fatal at once.
_FREED_LOOKS_OPEN = "glibc.malloc.perturb=118:glibc.malloc.tcache_count=0"
_CLOSED = """
import sys
from pathlib import Path
from node.errors import WrongKeyError
from node.store.database import Database

path = Path(sys.argv[1])
database = Database(path, bytes(range(32)))
database.change("CREATE TABLE t (x)")
{planted}
database.close()
try:
    Database(path, bytes(32))
except WrongKeyError:
    print("two connections closed")
"""

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="fills freed memory by a setting of glibc")


def _run(path: Path, planted: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _CLOSED.format(planted=planted), str(path)],
        env={**os.environ, "GLIBC_TUNABLES": _FREED_LOOKS_OPEN},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_glibc
def test_a_connection_is_freed_once_when_it_is_closed_and_when_it_could_not_be_opened(tmp_path: Path) -> None:
    ended = _run(tmp_path / "store.db")
    assert (ended.returncode, ended.stdout) == (0, "two connections closed\n"), ended.stderr
    assert not (tmp_path / "store.db-wal").exists()


@needs_glibc
def test_a_connection_that_is_its_own_last_owner_would_be_noticed(tmp_path: Path) -> None:
    """The planted bug: the statement that ought to outlive the connection goes first."""
    assert _run(tmp_path / "store.db", planted="database._last_owner = None").returncode < 0
