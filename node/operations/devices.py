"""Answers about this device, its peers and its realm."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from crdt.identifiers import origin_device
from node.repositories.values import instant_text
from node.requests import (
    DeviceList,
    DeviceReport,
    DevicesRequest,
    EventsRequest,
    FollowedEvent,
    Following,
    PairAnswered,
    PairAnswerRequest,
    PairEvent,
    PairRequest,
    PeerReport,
    StatusReport,
    StatusRequest,
    StreamReport,
)
from node.service import PeerState, Service
from sync.streams import Stream

WAIT_SECONDS_MAX = 24 * 3600.0
POLL_SECONDS = 0.02
# Long enough to be seen by a person who looks at the status now and then.
NOTICE_MILLISECONDS = 7 * 86_400_000


async def status(service: Service, request: StatusRequest) -> StatusReport:
    """Return how this device stands, as soon as it is in sync with every peer or after the time to wait."""
    seconds = min(max(request.wait_seconds, 0.0), WAIT_SECONDS_MAX)
    if service.links is not None and seconds:
        # The report says which peer is not in sync, and why.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Events are hints that leave out what lasted only a moment, so the state itself is looked at.
                while not all(peer.in_sync for peer in service.links.peers()):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_SECONDS)
    return _report(service)


async def devices(service: Service, request: DevicesRequest) -> DeviceList:
    """Return the devices of the realm: active ones first, then by name."""
    membership = service.membership
    reports = [
        DeviceReport(
            device_id=device_id.hex(),
            name=certificate.name,
            platform=certificate.platform,
            active=membership.is_active(device_id),
            this_device=device_id == service.keys.device_id,
        )
        for device_id, certificate in membership.roster.certificate_by_device.items()
    ]
    return DeviceList(devices=sorted(reports, key=lambda report: (not report.active, report.name, report.device_id)))


async def events(service: Service, request: EventsRequest) -> AsyncGenerator[FollowedEvent, None]:
    """Yield what happens from now on, without end."""
    with service.events.follow() as followed:
        yield Following()
        async for event in followed:
            yield event


async def pair(service: Service, request: PairRequest) -> AsyncGenerator[PairEvent, None]:
    """Open a pairing window and yield what happens in it, until a device was added or the window closed."""
    async for event in service.require_pairing().pair(request.owner_passphrase, from_anywhere=request.from_anywhere):
        yield event


async def pair_answer(service: Service, request: PairAnswerRequest) -> PairAnswered:
    """Take the person's answer to the six digits."""
    service.require_pairing().answer(accept=request.accept)
    return PairAnswered(accepted=request.accept)


def _report(service: Service) -> StatusReport:
    links = service.links
    found = links.discovery() if links is not None else None
    missing = links is not None and not all(peer.connected for peer in links.peers())
    view = service.store.view()
    scrub = service.store.health().last_scrub()
    return StatusReport(
        device_id=service.keys.device_id.hex(),
        name=service.device_name(service.keys.device_id),
        realm_id=service.keys.realm_id.hex(),
        running=links is not None,
        peers=_offline_peers(service) if links is None else [_peer(service, peer) for peer in links.peers()],
        streams=[
            _stream(stream, state.rows, state.digest, links.pending(stream) if links else (0, 0))
            for stream, state in sorted(view.streams.items())
        ],
        conflicts=service.conflicts.count(),
        held=links.held() if links else 0,
        derived=service.store.derived_count(),
        notices=_notices(service),
        discovery=found.state.value if found is not None else "",
        discovery_note=f"{found.sentence} {found.advice}" if found is not None and found.advice and missing else "",
        scrubbed=None if scrub is None else instant_text(scrub.at_milliseconds),
        damaged=0 if scrub is None else scrub.damaged,
    )


def _notices(service: Service) -> list[str]:
    minted = service.store.last_minted()
    recent = service.clock.now_milliseconds() - minted.at_milliseconds < NOTICE_MILLISECONDS
    notices = [minted.sentence] if recent and minted.sentence is not None else []
    return notices + [
        f"{service.device_name(origin_device(fork.origin))} wrote two versions of its changes of {fork.stream.title} "
        f"from number {fork.seq} on: {fork.ours.hex()[:8]} is held here, {fork.theirs.hex()[:8]} elsewhere. Both are "
        "kept where they are; let that device meet this one, and it brings them together."
        for fork in service.store.chains.open_forks()
    ]


def _stream(stream: Stream, rows: int, digest: bytes, pending: tuple[int, int]) -> StreamReport:
    pending_in, pending_out = pending
    return StreamReport(
        name=stream.title, rows=rows, digest=digest.hex(), pending_in=pending_in, pending_out=pending_out
    )


def _peer(service: Service, peer: PeerState) -> PeerReport:
    seen_at = peer.last_seen_milliseconds
    return PeerReport(
        device_id=peer.device_id.hex(),
        name=service.device_name(peer.device_id),
        connected=peer.connected,
        in_sync=peer.in_sync,
        why=peer.why,
        last_seen=None if seen_at is None else instant_text(seen_at),
    )


def _offline_peers(service: Service) -> list[PeerReport]:
    return [
        PeerReport(
            device_id=device_id.hex(),
            name=service.device_name(device_id),
            connected=False,
            in_sync=False,
            why="no node runs on this home",
            last_seen=None,
        )
        for device_id in sorted(service.membership.roster.active)
        if device_id != service.keys.device_id
    ]
