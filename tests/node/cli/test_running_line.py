"""What `run` shows first: an address that another device can really be given."""

from io import StringIO

import pytest
from rich.console import Console

from node.cli.device_rendering import render_node_event
from node.running import Ready, reachable_addresses
from node.transport.address import Address


@pytest.mark.parametrize("host", ["::", "0.0.0.0"])  # noqa: S104  asked about, not listened on
def test_an_address_that_stands_for_all_is_shown_as_one_that_can_be_called(host: str) -> None:
    listening = Address(host, 4711)
    addresses = reachable_addresses(listening)
    assert all(address.endswith(":4711") for address in addresses)
    shown = StringIO()
    ready = Ready(listen=str(listening), addresses=addresses, api="127.0.0.1:5000")
    Console(file=shown, width=200).print(render_node_event(ready))
    assert f"Other devices reach this one at {addresses[0]};" in shown.getvalue()
    assert str(listening) not in shown.getvalue()


def test_an_address_of_its_own_is_shown_as_it_is() -> None:
    assert reachable_addresses(Address("127.0.0.1", 4711)) == ["127.0.0.1:4711"]
