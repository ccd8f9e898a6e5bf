"""Whether a store that grows tenfold still replicates as fast: a long run against its first tenth."""

from statistics import harmonic_mean

from simulations.bench.replicate import connected_pair
from simulations.bench.samples import Figure, figure

GOAL = 0.8
PARTS = 10


def measure(*, records: int) -> list[Figure]:
    """Write `records` messages in ten equal parts on one device; the rates at which the other came to hold each."""
    rates: list[float] = []
    with connected_pair(full_text=False) as pair:
        for _ in range(PARTS):
            seconds = pair.ask(pair.sender, do="insert", rows=records // PARTS)["seconds"]
            assert isinstance(seconds, float)
            rates.append(records / PARTS / seconds)
        pair.require_equal(records + PARTS - 1)
    return [
        figure(f"messages A→B, each tenth of {records:,}", "records/s", rates),
        figure(f"all {records:,} / the first tenth", "ratio", [harmonic_mean(rates) / rates[0]], goal=GOAL),
    ]
