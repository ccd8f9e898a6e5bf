"""Gathers the figures of this device: what its store holds, how its peers stand, what went over its links.

Figures leave the device for collectors and dashboards, so they hold counts, instants and the beginnings of device ids.
"""

import resource
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from crdt.identifiers import DeviceId, origin_device, origin_incarnation
from node.metrics import Histogram, Traffic
from node.requests import MetricsReport, MetricsRequest
from node.requests.metrics import Figure, Sample
from node.service import Links, PeerState, Service
from sync.frontier import StreamState
from sync.streams import Stream

SHORT_ID_CHARACTERS = 8


async def metrics(service: Service, request: MetricsRequest) -> MetricsReport:
    """Return every figure; those of links only where a node runs."""
    figures = [*_process(), *_store(service)]
    if service.links is not None:
        dropped = ("nuthatch_events_dropped_total", "Events that a slow follower lost.", service.events.dropped)
        figures += [
            *peer_figures(service.links.peers()),
            *_queues(service, service.links),
            *_traffic(service.links.traffic),
            *_plain("counter", dropped),
        ]
    return MetricsReport(figures=figures)


def _process() -> Iterable[Figure]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    # The kernel gives kibibytes, except on macOS, where it gives bytes.
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    seconds = used.ru_utime + used.ru_stime
    yield from _plain("counter", ("process_cpu_seconds_total", "Processor time of this process.", seconds))
    yield from _plain(
        "gauge",
        ("process_max_resident_memory_bytes", "The most memory it ever held.", used.ru_maxrss * unit_bytes),
        ("process_python_threads", "Threads that run Python.", threading.active_count()),
    )


def _store(service: Service) -> Iterable[Figure]:
    store = service.store
    streams, sizes, scrub = store.view().streams, store.health().sizes(), store.health().last_scrub()
    rows = [Sample(value=state.rows, labels=_stream(stream)) for stream, state in sorted(streams.items())]
    yield Figure(name="nuthatch_rows", kind="gauge", says="Living rows of a stream.", samples=rows)
    yield _frontiers(streams)
    yield from _plain(
        "gauge",
        ("nuthatch_store_bytes", "Bytes of the encrypted database.", sizes.store_bytes),
        ("nuthatch_write_ahead_log_bytes", "Bytes of the log beside it.", sizes.log_bytes),
        ("nuthatch_conflicts_open", "Versions written apart, not seen together yet.", service.conflicts.count()),
        ("nuthatch_derived_rows", "Rows out of sight because of what was deleted.", store.derived_count()),
    )
    if scrub is not None:
        yield from _plain(
            "gauge",
            ("nuthatch_damaged_places", "Damaged places that the last scrub found.", scrub.damaged),
            ("nuthatch_last_scrub_timestamp_seconds", "When rows were compared last.", scrub.at_milliseconds / 1000),
        )


def _frontiers(streams: Mapping[Stream, StreamState]) -> Figure:
    samples = [
        Sample(
            value=entry.seq,
            labels={
                **_stream(stream),
                "author": _short(origin_device(origin)),
                "incarnation": origin_incarnation(origin).hex(),
            },
        )
        for stream, state in sorted(streams.items())
        for origin, entry in sorted(state.frontier.entries.items())
    ]
    says = "The number of the latest batch held of an author's stream."
    return Figure(name="nuthatch_frontier_seq", kind="gauge", says=says, samples=samples)


def peer_figures(peers: Sequence[PeerState]) -> Iterable[Figure]:
    """Yield how every other device stands."""
    yield from _plain("gauge", ("nuthatch_peers", "Other active devices of the realm.", len(peers)))
    # A device that was never heard of has no such instant, and 0 would be a wrong one.
    seen = {peer.device_id: peer.last_seen_milliseconds / 1000 for peer in peers if peer.last_seen_milliseconds}
    of_peers: tuple[tuple[str, str, Mapping[DeviceId, float]], ...] = (
        ("connected", "1 while a session with the device is open.", {peer.device_id: peer.connected for peer in peers}),
        ("in_sync", "1 while frontiers and digests are equal.", {peer.device_id: peer.in_sync for peer in peers}),
        ("last_seen_timestamp_seconds", "When the device was last heard of.", seen),
    )
    for name, says, value_by_device in of_peers:
        samples = [
            Sample(value=float(value), labels={"peer": _short(device_id)})
            for device_id, value in value_by_device.items()
        ]
        yield Figure(name=f"nuthatch_peer_{name}", kind="gauge", says=says, samples=samples)


def _queues(service: Service, links: Links) -> Iterable[Figure]:
    samples = [
        Sample(value=count, labels={**_stream(stream), "direction": direction})
        for stream in sorted(service.store.view().streams)
        for direction, count in zip(("in", "out"), links.pending(stream), strict=True)
    ]
    says = "Batches known to be missing here, or at a connected peer."
    yield Figure(name="nuthatch_pending_batches", kind="gauge", says=says, samples=samples)
    says = "Batches that wait for another one, for their author's admission, or for their time."
    yield from _plain("gauge", ("nuthatch_held_batches", says, links.held()))


def _traffic(traffic: Traffic) -> Iterable[Figure]:
    for name, says, arrived, sent in (
        ("nuthatch_frames_total", "Frames of sessions.", traffic.frames_in, traffic.frames_out),
        ("nuthatch_frame_bytes_total", "Bytes of these frames.", traffic.frame_bytes_in, traffic.frame_bytes_out),
    ):
        both = [Sample(value=arrived, labels={"direction": "in"}), Sample(value=sent, labels={"direction": "out"})]
        yield Figure(name=name, kind="counter", says=says, samples=both)
    yield from _plain(
        "counter",
        ("nuthatch_links_opened_total", "Sessions with known devices that were opened.", traffic.links_opened),
        ("nuthatch_links_broken_total", "Links whose far end broke the protocol.", traffic.links_broken),
        ("nuthatch_batches_sent_total", "Batches read and sealed for a peer.", traffic.batches_sent),
        ("nuthatch_batches_applied_total", "Batches of peers given to the store.", traffic.batches_applied),
        ("nuthatch_batches_refused_total", "Of these, batches that were refused.", traffic.batches_refused),
        ("nuthatch_pages_applied_total", "Snapshot and repair pages that were merged.", traffic.pages_applied),
    )
    says = "How long one bundle or page took to be durable."
    yield Figure(name="nuthatch_apply_seconds", kind="histogram", says=says, samples=_parts(traffic.apply_seconds))


def _parts(histogram: Histogram) -> list[Sample]:
    cumulative = histogram.cumulative()
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    return [
        *(Sample(value=count, labels={"le": le}, part="bucket") for le, count in zip(bounds, cumulative, strict=True)),
        Sample(value=histogram.total, part="sum"),
        Sample(value=cumulative[-1], part="count"),
    ]


def _plain(kind: Literal["counter", "gauge"], *figures: tuple[str, str, float]) -> Iterable[Figure]:
    """Yield figures of one value each: name, what it says, value."""
    for name, says, value in figures:
        yield Figure(name=name, kind=kind, says=says, samples=[Sample(value=value)])


def _stream(stream: Stream) -> dict[str, str]:
    return {"stream": stream.title}


def _short(device_id: bytes) -> str:
    return device_id.hex()[:SHORT_ID_CHARACTERS]
