"""Finishes what a forget began, before the person is told that it is done."""

import asyncio

from node.service import Service


async def finish_forgetting(service: Service) -> None:
    """Take the words of forgotten rows out of the log, piece by piece, so that a running node stays responsive."""
    while service.store.upkeep_waits:
        service.store.maintain()
        await asyncio.sleep(0)
