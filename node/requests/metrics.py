"""Figures of this device, for whoever watches it over time."""

from typing import Literal

import msgspec

from node.requests.operation import Operation, Request, Response


class MetricsRequest(Request, frozen=True, kw_only=True):
    """Ask for all figures."""


class Sample(Response, frozen=True, kw_only=True):
    """One value of a figure; of a histogram, `part` says which: bucket, sum or count."""

    value: float
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    part: str = ""


class Figure(Response, frozen=True, kw_only=True):
    """One figure: its name with the unit last, its kind as Prometheus calls it, and what it says."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    says: str
    samples: list[Sample]


class MetricsReport(Response, frozen=True, kw_only=True):
    """All figures. Devices appear by the beginning of their ids, never by name."""

    figures: list[Figure]


METRICS = Operation("metrics", MetricsRequest, MetricsReport)
