"""The rules of dependence: who may import which library, and what a sans-IO core must not reach."""

import ast
import sys
from collections.abc import Iterable, Iterator

from tests.architecture.source_tree import CORE, Source

# The one module that knows an engine. An engine without one has none yet, and may get exactly one.
IMPORTER_BY_ENGINE = {
    "libsql_experimental": "node/store/database.py",
    "nacl": "sync/crypto.py",
    "automerge": "crdt/document.py",
    "rapidfuzz": "crdt/text_edits.py",
    "chromadb": None,
    "duckdb": None,
    "zeroconf": "node/discovery/mdns.py",
    "yaml": "node/importers/front_matter.py",
}
# The program that the benchmarks compare with shares no code with what it is compared to, so it has its own imports.
INDEPENDENT_PEER = "simulations/bench/bare_loop.py"

LIBRARIES_BY_PACKAGE = {
    "crdt": frozenset({"msgspec", "rapidfuzz", "automerge"}),
    "sync": frozenset({"msgspec", "nacl", "zstandard", "crdt"}),
}
COMPRESSING_MODULE = "sync/packing.py"

IMPURE_MODULES = frozenset(
    {"aiohttp", "asyncio", "importlib", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
     "selectors", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "time"}
)  # fmt: skip
IMPURE_BUILTINS = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})
IMPURE_CALLS = frozenset(
    {"fromtimestamp", "generate", "localtime", "monotonic", "now", "perf_counter", "randbytes", "randombytes",
     "time_ns", "today", "token_bytes", "urandom", "utcnow", "uuid1", "uuid4"}
)  # fmt: skip


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, wherever it stands."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def one_importer_for_each_engine(files: Iterable[Source]) -> list[str]:
    """Engines imported outside their module, or by two modules where none is named yet."""
    found, importers_by_engine = [], dict[str, set[str]]()
    for source in files:
        if source.path == INDEPENDENT_PEER:
            continue
        for line, name in imports(source):
            engine = name.split(".", 1)[0]
            if engine not in IMPORTER_BY_ENGINE:
                continue
            importers_by_engine.setdefault(engine, set()).add(source.path)
            if (only := IMPORTER_BY_ENGINE[engine]) is not None and source.path != only:
                found.append(f"{source.path}:{line} imports {engine}; only {only} may.")
    for engine, paths in importers_by_engine.items():
        if len(paths) > 1 and IMPORTER_BY_ENGINE[engine] is None:
            found.append(f"{engine} is imported by {', '.join(sorted(paths))}; one module may.")
    return found


def allowed_libraries(source: Source) -> list[str]:
    """Third-party imports of the core beyond the few that it is allowed."""
    found = []
    for line, name in imports(source):
        top = name.split(".", 1)[0]
        if source.top not in CORE or top in sys.stdlib_module_names or top == source.top:
            continue
        if top not in LIBRARIES_BY_PACKAGE[source.top]:
            found.append(f"{source.path}:{line} imports {name}; {source.top} may not.")
        if top == "zstandard" and source.path != COMPRESSING_MODULE:
            found.append(f"{source.path}:{line} compresses; only {COMPRESSING_MODULE} does.")
    return found


def sans_io(source: Source) -> list[str]:
    """Ways for the core to wait, to log, to read a clock or a file, or to draw randomness."""
    found = [
        f"{source.path}:{line} imports {name}: inputs in, effects out."
        for line, name in imports(source)
        if name.split(".", 1)[0] in IMPURE_MODULES
    ]
    for node in ast.walk(source.tree):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                found.append(f"{source.path}:{node.lineno} waits; the core never does.")
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_BUILTINS | IMPURE_CALLS:
                found.append(f"{source.path}:{node.lineno} calls {name}(): give the value as an argument.")
            case ast.Call(func=ast.Attribute(attr=name) as method) if name in IMPURE_CALLS:
                if name != "now" or not _is_own_clock(method):
                    found.append(f"{source.path}:{node.lineno} calls {name}(): give the value as an argument.")
            case ast.Attribute(attr="urandom" | "random_bytes" | "SystemRandom"):
                found.append(f"{source.path}:{node.lineno} reaches for {node.attr}: give the bytes as an argument.")
            case _:
                pass
    return found


def _is_own_clock(method: ast.Attribute) -> bool:
    """Whether this is `now` of the hybrid clock, which is given the time, and not of `datetime` or `date`."""
    match method.value:
        case ast.Name(id=owner) | ast.Attribute(attr=owner):
            return owner.strip("_").endswith("clock")
        case _:
            return False
