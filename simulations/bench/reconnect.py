"""How many bytes two devices that are already equal need to find that out when they meet again.

The sender dials through a tap; once both are equal the cable is pulled, and what passes after the handshake of the next
connection, both ways, is counted until both have long been silent.
"""

import asyncio

from simulations.bench.replicate import Pair, connected_pair
from simulations.bench.samples import Figure, figure
from simulations.bench.tap import Direction, Tap

GOAL_BYTES = 300
# The devices have nothing more to say long before; a heartbeat would come after fifteen seconds.
SILENCE_SECONDS = 2.0
RECONNECT_SECONDS_MAX = 30.0


def measure(*, rounds: int, records: int) -> list[Figure]:
    """Return the bytes of each of `rounds` reconnects of two devices that hold `records` messages."""
    return asyncio.run(_measure(rounds, records))


async def _measure(rounds: int, records: int) -> list[Figure]:
    taps: list[Tap] = []

    async def through_tap(address: str) -> str:
        taps.append(Tap(address))
        return await taps[0].start()

    loop = asyncio.get_running_loop()

    def between(address: str) -> str:
        return asyncio.run_coroutine_threadsafe(through_tap(address), loop).result()

    def fill_and_hold() -> list[list[int]]:
        with connected_pair(full_text=False, between=between) as pair:
            pair.ask(pair.sender, do="insert", rows=records)
            pair.require_equal(records)
            return [asyncio.run_coroutine_threadsafe(_reconnect(taps[0], pair), loop).result() for _ in range(rounds)]

    try:
        counted = await asyncio.to_thread(fill_and_hold)
    finally:
        for tap in taps:
            await tap.stop()
    return [
        figure(
            f"reconnect when equal, {records:,} rows, both ways",
            "bytes",
            [sum(sizes) for sizes in counted],
            goal=GOAL_BYTES,
            better="less",
            percentile=100,
        ),
        figure("of which from the device that dialled", "bytes", [sizes[0] for sizes in counted]),
    ]


async def _reconnect(tap: Tap, pair: Pair) -> list[int]:
    """Pull the cable; return the bytes that passed after the next handshake, from and to the device that dialled."""
    # A new device signs its sign of life of the day within its first second; that is none of the reconnect's bytes.
    await asyncio.sleep(SILENCE_SECONDS)
    met = len(tap.connections)
    tap.cut()
    async with asyncio.timeout(RECONNECT_SECONDS_MAX):
        # The tap has no listeners to tell; it only counts.
        while not (len(tap.connections) > met and tap.connections[-1].after_handshake()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(SILENCE_SECONDS)
    await asyncio.to_thread(pair.settle)
    frames = tap.connections[-1].after_handshake()
    return [sum(frame.frame_bytes for frame in frames if frame.direction is direction) for direction in Direction]
