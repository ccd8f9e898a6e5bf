"""Measures every promised figure, shows them as a table and writes them to a file: `python -m simulations.bench`."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from simulations.bench import idle, insert_ratio, join, latency, random_edits, reconnect, replicate, scale, text_merges
from simulations.bench.samples import Figure

Measurement = Callable[[], list[Figure]]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one run measured, and on what."""

    measured_at: str
    machine: str
    processors: int
    python: str
    quick: bool
    seconds: float
    figures: list[Figure]


def measurements(*, quick: bool) -> dict[str, Measurement]:
    """Return what is measured, by name; `quick` shows that it works and measures too little to be quoted."""
    rounds = 1 if quick else 5
    return {
        "insert": lambda: insert_ratio.measure(rounds=rounds, rows=5_000 if quick else 20_000),
        "replicate": lambda: replicate.measure(rounds=rounds, records=5_000 if quick else 100_000),
        "scale": lambda: scale.measure(records=20_000 if quick else 1_000_000),
        "random edits": lambda: random_edits.measure(
            records=20_000 if quick else 1_000_000, edits=5_000 if quick else 100_000
        ),
        "text merges": lambda: text_merges.measure(texts=1_000 if quick else 10_000, rounds=1 if quick else 2),
        "join": lambda: join.measure(
            rounds=1 if quick else 3, messages=5_000 if quick else 100_000, memories=2_000 if quick else 24_000
        ),
        "reconnect": lambda: reconnect.measure(rounds=1 if quick else 3, records=2_000 if quick else 100_000),
        "idle": lambda: idle.measure(records=2_000 if quick else 100_000, seconds=2.0 if quick else 60.0),
        "latency": lambda: latency.measure(memories=30 if quick else 300, messages=1_000 if quick else 10_000),
    }


def table_of(figures: Sequence[Figure]) -> Table:
    """Return the figures as a table; those without a goal explain the others."""
    table = Table(title="Nuthatch, measured", title_justify="left")
    for heading in ("what", "median", "range", "unit", "goal", ""):
        table.add_column(heading, justify="left" if heading in ("what", "unit", "") else "right")
    for row in figures:
        sign = "≥" if row.better == "more" else "≤"
        goal = "" if row.goal is None else f"{sign} {_number(row.goal)}"
        verdict = {None: "", True: "[green]reached[/]", False: "[red]missed[/]"}[row.reached]
        span = f"{_number(row.low)} … {_number(row.high)}"
        table.add_row(row.name, _number(row.value), span, row.unit, goal, verdict)
    return table


def _number(value: float) -> str:
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m simulations.bench", description="Measure the promised figures.")
    parser.add_argument("--quick", action="store_true", help="a minute's check that everything can be measured")
    parser.add_argument("--only", choices=sorted(measurements(quick=True)), action="append", help="measure only this")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="where the figures are written")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    started_at = time.perf_counter()
    figures: list[Figure] = []
    for name, measure in measurements(quick=arguments.quick).items():
        if arguments.only is None or name in arguments.only:
            with console.status(f"measuring {name} …"):
                figures += measure()
    report = Report(
        measured_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=platform.platform(),
        processors=os.cpu_count() or 1,
        python=platform.python_version(),
        quick=arguments.quick,
        seconds=round(time.perf_counter() - started_at, 1),
        figures=figures,
    )
    arguments.output.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    console.print(table_of(figures))
    if arguments.quick:
        console.print("A quick run: the figures show that the measurement works, not how fast the program is.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
