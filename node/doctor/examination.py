"""Examines a device from outside to inside: home, store, rows, clock, network."""

import asyncio
from collections.abc import AsyncGenerator

from node.doctor.clock_checks import clock_finding, restamp
from node.doctor.home_checks import home_findings
from node.doctor.network_checks import network_findings
from node.doctor.opening_checks import refusal_finding
from node.doctor.repair import close_to_others, drop_damaged_statements, repair
from node.doctor.scrub_checks import last_scrub_finding, scrub_findings
from node.doctor.store_checks import pages_finding, store_findings
from node.errors import StorageError
from node.requests.doctor import DoctorEvent, DoctorProgress, DoctorRequest, Examined, Finding
from node.service import Service
from node.store.damage import ScrubReport

# Telling of each slice would cost more than the slice.
_SLICES_PER_PROGRESS = 8


async def examine(service: Service, request: DoctorRequest) -> AsyncGenerator[DoctorEvent, None]:
    """Yield progress while rows are read, and at last all findings.

    A running node goes on meanwhile: nothing here holds the event loop for more than some ten milliseconds. What is
    repaired is examined again, so that the findings say how things are and not how they were meant to be.
    """
    mended = [*close_to_others(service.home), *drop_damaged_statements(service)] if request.repair else []
    try:
        mended += restamp(service) if request.restamp else []
        rows: list[Finding] = []
        async for event in _rows(service, request, mended):
            if isinstance(event, DoctorProgress):
                yield event
            else:
                rows.append(event)
        findings = [*home_findings(service.home), *store_findings(service)]
        await asyncio.sleep(0)
        findings += [pages_finding(service), *rows, clock_finding(service)]
        findings += await network_findings(service, request.listen)
    except StorageError as error:
        # Whatever else could be said rests on what cannot be read.
        findings = [*home_findings(service.home), pages_finding(service), refusal_finding(error)]
    yield Examined(findings=[*_as_seen_from_here(service, findings), *mended])


async def _rows(
    service: Service, request: DoctorRequest, mended: list[Finding]
) -> AsyncGenerator[DoctorProgress | Finding, None]:
    """Yield how far a scrub is and what it found; what was repaired on the way is added to `mended`."""
    if not (request.scrub or request.repair):
        yield last_scrub_finding(service)
        return
    report = ScrubReport()
    async for progress in _scrubbed(service, report):
        yield progress
    if request.repair and not report.sound:
        mended += await repair(service, report)
        report = ScrubReport()
        async for progress in _scrubbed(service, report):
            yield progress
    if not report.not_compared:
        service.store.health().note_scrub(report, service.clock.now_milliseconds())
    for finding in scrub_findings(report):
        yield finding


async def _scrubbed(service: Service, report: ScrubReport) -> AsyncGenerator[DoctorProgress, None]:
    sign_public = service.membership.roster.sign_public
    scrub = service.store.health().scrub(sign_public, service.clock.monotonic_seconds, report)
    for number, progress in enumerate(scrub.slices()):
        if number % _SLICES_PER_PROGRESS == 0:
            yield DoctorProgress(done=progress.done, total=progress.total)
        await asyncio.sleep(0)


def _as_seen_from_here(service: Service, findings: list[Finding]) -> list[Finding]:
    """Leave out who owns the home where it is this very process that asks: a command without a node."""
    return [finding for finding in findings if finding.name != "owner" or service.links is not None]
