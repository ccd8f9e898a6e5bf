"""What a person is told of looking for other devices, from what each interface has shown."""

from node.discovery.report import ALONE_SECONDS, HEARD_OWN_SECONDS, DiscoveryState, OutletState, judge

NOW = 1_000.0


def outlet(*, since: float = 1.0, error: str | None = None, own: bool = True, others: bool = False) -> OutletState:
    return OutletState(
        interface="wlan0",
        family="IPv4",
        error=error,
        shown_at_seconds=NOW - since,
        heard_own=own,
        heard_others=others,
    )


def test_without_a_network_the_person_is_told_so_and_how_to_go_on() -> None:
    report = judge([], NOW)
    assert report.state is DiscoveryState.NO_NETWORK
    assert "--peer" in report.advice


def test_an_error_of_every_socket_is_told_with_its_reason() -> None:
    report = judge([outlet(error="Operation not permitted"), outlet(error="Operation not permitted")], NOW)
    assert report.state is DiscoveryState.BLOCKED
    assert "wlan0: Operation not permitted" in report.sentence
    assert "5353" in report.advice
    assert "--peer" in report.advice


def test_one_usable_interface_is_enough() -> None:
    assert judge([outlet(error="no"), outlet(others=True)], NOW).state is DiscoveryState.LOOKING


def test_an_announcement_that_never_comes_back_is_a_firewall_on_this_device() -> None:
    assert judge([outlet(own=False, since=HEARD_OWN_SECONDS / 2)], NOW).state is DiscoveryState.STARTING
    report = judge([outlet(own=False, since=HEARD_OWN_SECONDS + 1)], NOW)
    assert report.state is DiscoveryState.BLOCKED
    assert "firewall" in report.sentence


def test_a_network_on_which_nobody_else_speaks_is_suspected_after_a_while_and_not_before() -> None:
    assert judge([outlet()], NOW).state is DiscoveryState.STARTING
    report = judge([outlet(since=ALONE_SECONDS + 1)], NOW)
    assert report.state is DiscoveryState.ALONE
    assert "guest networks" in report.sentence
    assert "--peer" in report.advice


def test_a_network_that_works_needs_no_advice() -> None:
    report = judge([outlet(since=ALONE_SECONDS + 1, others=True)], NOW)
    assert report.state is DiscoveryState.LOOKING
    assert report.advice == ""
