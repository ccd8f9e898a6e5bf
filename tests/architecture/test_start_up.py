"""Starting the program stays cheap: asking for help loads no engine and no network."""

import subprocess
import sys

HEAVY = ("automerge", "chromadb", "duckdb", "zeroconf", "numpy", "aiohttp", "libsql_experimental", "nacl")

_ASK_FOR_HELP = """
import sys
from node.__main__ import main
sys.argv = ["nuthatch", *sys.argv[1:]]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
sys.stderr.write(" ".join(sorted(sys.modules)))
"""


def _modules_loaded_by(script: str, *arguments: str) -> set[str]:
    finished = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(finished.stderr.split())


def test_help_loads_no_engine() -> None:
    assert not _modules_loaded_by(_ASK_FOR_HELP, "--help") & set(HEAVY)


def test_an_engine_that_is_loaded_would_be_seen() -> None:
    assert "nacl" in _modules_loaded_by("import nacl\n" + _ASK_FOR_HELP, "--help")
