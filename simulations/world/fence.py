"""Puts a kill switch around every database statement of the simulated devices, and of nobody else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from node.store.database import Database
from simulations.world.kill import KillSwitch

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

_METHODS = ("query", "change", "change_many", "execute")
_switch_by_directory: dict[Path, KillSwitch] = {}


def watch(directory: Path, switch: KillSwitch) -> None:
    """Let `switch` see every statement of the store in `directory`."""
    _switch_by_directory[directory] = switch


def unwatch(directory: Path) -> None:
    """Forget the store in `directory`."""
    _switch_by_directory.pop(directory, None)


@contextmanager
def fenced() -> Iterator[None]:
    """Install the fence for the length of a run; the store's own code stays as it is."""
    originals = {name: getattr(Database, name) for name in _METHODS}
    for name, original in originals.items():
        setattr(Database, name, _stepping(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(Database, name, original)


def _stepping(original: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    @wraps(original)
    def stepped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        database = args[0]
        assert isinstance(database, Database)
        switch = _switch_by_directory.get(database.path.parent)
        if switch is None:
            return original(*args, **kwargs)
        switch.step()
        answer = original(*args, **kwargs)
        switch.step(committed=args[1:2] == ("COMMIT",))
        return answer

    return stepped
