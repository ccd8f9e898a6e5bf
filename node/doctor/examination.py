"""Examines a device from outside to inside: home, store, rows, clock, network."""

import asyncio
from collections.abc import AsyncGenerator

from node.doctor.clock_checks import clock_finding
from node.doctor.home_checks import home_findings
from node.doctor.network_checks import network_findings
from node.doctor.scrub_checks import last_scrub_finding, scrub_findings
from node.doctor.store_checks import pages_finding, store_findings
from node.requests.doctor import DoctorEvent, DoctorProgress, DoctorRequest, Examined, Finding
from node.service import Service

# Telling of each slice would cost more than the slice.
_SLICES_PER_PROGRESS = 8


async def examine(service: Service, request: DoctorRequest) -> AsyncGenerator[DoctorEvent, None]:
    """Yield progress while rows are read, and at last all findings.

    A running node goes on meanwhile: nothing here holds the event loop for more than some ten milliseconds.
    """
    findings = home_findings(service.home)
    findings += store_findings(service)
    await asyncio.sleep(0)
    findings.append(pages_finding(service))
    if request.scrub:
        scrub = service.store.health().scrub(service.membership.roster.sign_public, service.clock.monotonic_seconds)
        for number, progress in enumerate(scrub.slices()):
            if number % _SLICES_PER_PROGRESS == 0:
                yield DoctorProgress(done=progress.done, total=progress.total)
            await asyncio.sleep(0)
        service.store.health().note_scrub(scrub.report, service.clock.now_milliseconds())
        findings += scrub_findings(scrub.report)
    else:
        findings.append(last_scrub_finding(service))
    findings.append(clock_finding(service))
    findings += await network_findings(service, request.listen)
    yield Examined(findings=_own_node_first(service, findings))


def _own_node_first(service: Service, findings: list[Finding]) -> list[Finding]:
    """Leave out who owns the home where it is this very process that asks: a command without a node."""
    return [finding for finding in findings if finding.name != "owner" or service.links is not None]
