"""What the doctor says of looking for other devices, and what the status adds while one is missing."""

from io import StringIO

import pytest
from rich.console import Console

from node.cli.device_rendering import render_status
from node.discovery.report import NO_NETWORK, OFF, UNPAIRED, DiscoveryReport, DiscoveryState, OutletState, judge
from node.doctor.network_checks import _discovery
from node.requests import StatusReport


def heard(*, own: bool, others: bool, seconds: float, error: str | None = None) -> DiscoveryReport:
    state = OutletState(
        interface="wlan0", family="IPv4", error=error, shown_at_seconds=0.0, heard_own=own, heard_others=others
    )
    return judge([state], seconds)


BLOCKED = heard(own=False, others=False, seconds=10.0)
ALONE = heard(own=True, others=False, seconds=1_000.0)


@pytest.mark.parametrize(
    ("report", "state"),
    [
        (OFF, "good"),
        (UNPAIRED, "good"),
        (heard(own=True, others=True, seconds=10.0), "good"),
        (ALONE, "notice"),
        (NO_NETWORK, "bad"),
        (BLOCKED, "bad"),
        (heard(own=False, others=False, seconds=1.0, error="Operation not permitted"), "bad"),
    ],
)
def test_what_keeps_devices_apart_is_said_with_what_to_do(report: DiscoveryReport, state: str) -> None:
    finding = _discovery(report)
    assert finding.state == state
    assert finding.says == report.sentence
    assert ("--peer HOST:PORT" in finding.mend) == (state != "good")


@pytest.mark.parametrize("report", [BLOCKED, ALONE, NO_NETWORK, OFF])
def test_the_status_shows_the_sentence_and_the_way_on_to_a_person(report: DiscoveryReport) -> None:
    status = StatusReport(
        device_id="00",
        name="laptop",
        realm_id="11",
        running=True,
        peers=[],
        streams=[],
        conflicts=0,
        held=0,
        derived=0,
        notices=[],
        discovery=report.state.value,
        discovery_note=f"{report.sentence} {report.advice}",
        scrubbed=None,
        damaged=0,
    )
    shown = StringIO()
    Console(file=shown, width=100).print(render_status(status))
    words = " ".join(shown.getvalue().split())
    assert report.sentence in words
    assert "nuthatch run --peer HOST:PORT" in words


def test_every_state_has_a_finding() -> None:
    for state in DiscoveryState:
        assert _discovery(DiscoveryReport(state, "a sentence", "advice")).says == "a sentence"
