"""Mends what can be mended without losing anything, and says what was done."""

import asyncio

from node.doctor.found import bad, counted, notice
from node.errors import StorageError
from node.home import DIRECTORY_MODE, FILE_MODE, Home
from node.mending import Mending
from node.requests.doctor import Finding
from node.service import Service
from node.store.damage import ScrubReport


def close_to_others(home: Home) -> list[Finding]:
    """Let nobody but the person read the home."""
    closed: list[str] = []
    wanted = [(home.directory, DIRECTORY_MODE), *((path, FILE_MODE) for path in home.directory.iterdir())]
    for path, mode in wanted:
        if not path.is_symlink() and path.stat().st_mode & 0o077:
            path.chmod(mode)
            closed.append(path.name)
    return [notice("mended", f"Others can no longer read {', '.join(closed)}.")] if closed else []


def drop_damaged_statements(service: Service) -> list[Finding]:
    """Take out roster statements that prove nothing any more, for those of other devices to come in their place."""
    damaged = service.store.health().damaged_statements()
    if not damaged:
        return []
    service.store.health().drop_statements(damaged)
    return [notice("mended", f"{counted(len(damaged), 'damaged statement')} of your realm taken out.")]


async def repair(service: Service, report: ScrubReport) -> list[Finding]:
    """Mend what a scrub found; return what was done and what could not be. A later scrub proves it."""
    monotonic_seconds = service.clock.monotonic_seconds
    mending = Mending(service.store, report, service.membership.roster.sign_public, monotonic_seconds)
    holder = next((peer for peer in (service.links.peers() if service.links else ()) if peer.in_sync), None)
    failed: list[Finding] = []
    for steps, what in (
        (mending.rows(service.device_name(holder.device_id) if holder else None), "It"),
        (mending.words(), "Search"),
    ):
        try:
            for _ in steps:
                await asyncio.sleep(0)
        except StorageError as error:
            failed.append(bad("repair", f"{what} could not be mended: {error}", "Restore a backup, or join anew."))
    return [*(notice("mended", sentence) for sentence in mending.done), *failed]
