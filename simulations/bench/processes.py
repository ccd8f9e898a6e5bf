"""Starts the measured programs as processes of their own, which tell their results as JSON lines."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class Child:
    """A running program: say a line to it, hear a JSON object from it; it ends with the `with` block."""

    def __init__(self, module: str, arguments: Sequence[str], *, core: int) -> None:
        """Start `python -m module`, bound to one processor core where the system can do that."""
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(self._process.pid, {cores[core % len(cores)]})

    @property
    def process_id(self) -> int:
        """The number of the process."""
        return self._process.pid

    def hear(self, timeout_seconds: float) -> dict[str, object]:
        """The next object; raises RuntimeError if the program ends or stays silent."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_seconds):
                raise RuntimeError(f"{self._module} said nothing for {timeout_seconds:.0f} seconds.")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended early with code {self._process.wait()}.")
        heard = json.loads(line)
        assert isinstance(heard, dict)
        return heard

    def say(self, **message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its input, by which every measured program ends; stop it where it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def tell(**message: object) -> None:
    """Say one object to the program that started this one."""
    print(json.dumps(message), flush=True)


@contextmanager
def timed() -> Iterator[list[float]]:
    """Yield a list that holds the seconds of the block after it."""
    elapsed: list[float] = []
    started_at = time.perf_counter()
    yield elapsed
    elapsed.append(time.perf_counter() - started_at)
