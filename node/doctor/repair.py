"""Mends what can be mended without losing anything, and says what was done."""

import asyncio
from collections.abc import Collection

from node.doctor.found import bad, counted, notice
from node.errors import StorageError
from node.home import DIRECTORY_MODE, FILE_MODE, Home
from node.requests.doctor import Finding
from node.service import Service
from node.store.damage import TAKEN_OUT, Kind, ScrubReport
from node.store.rebuilding import RowName
from sync.streams import Stream

_WORDS = frozenset({Kind.WORDS_MISSING, Kind.WORDS_SURPLUS, Kind.WORDS_WRONG, Kind.INDEX_UNREADABLE})
_SUMS = frozenset({Kind.DIGEST_WRONG, Kind.COUNT_WRONG})


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
    done: list[Finding] = []
    rebuilt: list[RowName] = []
    try:
        for _ in service.store.health().rebuild(report, service.membership.roster.sign_public, rebuilt):
            await asyncio.sleep(0)
        if rebuilt:
            done.append(notice("mended", f"{counted(len(rebuilt), 'damaged row')} rebuilt from this device's own log."))
        done += _rows(service, report, set(rebuilt))
        done += _sums(service, report, set(rebuilt))
    except StorageError as error:
        done.append(bad("repair", f"It could not be mended: {error}", "Restore a backup, or join anew."))
    tables = sorted({found.where for found in report.damage if found.kind in _WORDS})
    try:
        for _ in service.store.health().rebuild_text(tables, service.clock.monotonic_seconds):
            await asyncio.sleep(0)
    except StorageError as error:
        return [*done, bad("repair", f"Search could not be mended: {error}", "Restore a backup, or join anew.")]
    if tables:
        done.append(notice("mended", f"The words of {', '.join(tables)} were indexed anew."))
    return done


def _rows(service: Service, report: ScrubReport, rebuilt: Collection[RowName]) -> list[Finding]:
    """Take damaged rows out where a connected device provably holds them.

    It holds the same frontier and digest, so its rows are those that this device's digest was added up from. A row
    without a row state counts as one of these only if its hash is missing from the sum; else nobody else knows it.
    """
    unsummed = {found.where for found in report.damage if found.kind is Kind.DIGEST_WRONG}
    row_ids_by_table: dict[str, list[bytes]] = {}
    for found in report.damage:
        if found.kind not in TAKEN_OUT or (found.where, found.key) in rebuilt:
            continue
        stream = service.store.catalogue.held_table(found.where).stream
        if found.kind is not Kind.ROW_STATE_LOST or stream.title in unsummed:
            row_ids_by_table.setdefault(found.where, []).append(found.key)
    if not row_ids_by_table:
        return []
    holder = next((peer for peer in (service.links.peers() if service.links else ()) if peer.in_sync), None)
    if holder is None:
        return []
    service.store.take_out(row_ids_by_table)
    count = sum(len(row_ids) for row_ids in row_ids_by_table.values())
    name = service.device_name(holder.device_id)
    return [notice("mended", f"{counted(count, 'damaged row')} taken out; {name} holds them and sends them again.")]


def _sums(service: Service, report: ScrubReport, rebuilt: Collection[RowName]) -> list[Finding]:
    """Add digests up anew of streams all of whose rows were found whole."""
    broken = {
        service.store.catalogue.held_table(found.where).stream
        for found in report.damage
        if (found.kind in TAKEN_OUT and (found.where, found.key) not in rebuilt) or found.kind is Kind.TABLE_UNREADABLE
    }
    named = {found.where for found in report.damage if found.kind in _SUMS}
    streams = [stream for stream in Stream if stream.title in named and stream not in broken]
    if not streams:
        return []
    service.store.add_up(streams)
    return [notice("mended", f"The digest of {', '.join(stream.title for stream in streams)} was added up anew.")]
