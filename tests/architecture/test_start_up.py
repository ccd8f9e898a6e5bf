"""Starting the program stays cheap: asking for help loads no engine and no network."""

import subprocess
import sys

HEAVY = ("automerge", "chromadb", "duckdb", "zeroconf", "numpy", "aiohttp", "libsql_experimental", "nacl")

# What typer and rich bring along, and msgspec, in which answers are written; a new name costs everybody's start.
ALLOWED = frozenset(
    {
        *("typer", "rich", "msgspec", "shellingham", "annotated_doc", "typing_extensions"),
        *("markdown_it", "mdurl", "pygments", "attr"),
    }
)
# Of the program itself: what the commands are, and nothing that performs one.
OWN_ALLOWED = ("node", "node.__main__", "node.errors", "node.log_names", "node.cli", "node.cli.")

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


def _strangers(loaded: set[str]) -> set[str]:
    top = {name.partition(".")[0] for name in loaded}
    own = {name for name in loaded if name.partition(".")[0] in {"node", "sync", "crdt"}}
    return {
        # Names with an underscore before them are the environment's: what made the program importable.
        *(name for name in top - sys.stdlib_module_names - ALLOWED if not name.startswith("_") and name != "node"),
        *(name for name in own if name not in OWN_ALLOWED and not name.startswith(OWN_ALLOWED[-1])),
    }


def test_help_loads_what_is_named_here_and_nothing_else() -> None:
    assert not _strangers(_modules_loaded_by(_ASK_FOR_HELP, "--help"))


def test_a_stranger_that_is_loaded_would_be_seen() -> None:
    assert _strangers(_modules_loaded_by("import node.config\n" + _ASK_FOR_HELP, "--help")) >= {
        "node.config",
        "platformdirs",
    }


def test_what_draws_progress_is_loaded_when_there_is_some() -> None:
    loaded = _modules_loaded_by(_ASK_FOR_HELP, "--help")
    assert "rich.console" in loaded
    assert "rich.progress" not in loaded
