"""Where devices were met: kept through a restart, bounded, and never sent anywhere."""

from pathlib import Path

from crdt.identifiers import DeviceId
from node.store.address_book import ADDRESSES_PER_DEVICE_MAX, DEVICES_MAX
from node.transport.address import Address
from tests.support.nodes import live_realm, make_node

ADA, BOB = DeviceId(b"a" * 32), DeviceId(b"b" * 32)


def place(number: int) -> Address:
    return Address(f"10.0.{number // 250}.{number % 250}", 4711)


def test_the_latest_places_come_first_and_survive_a_restart(tmp_path: Path) -> None:
    realm = live_realm(1)
    node = make_node(realm, 0, tmp_path)
    for number in range(10):
        node.store.address_book().met(ADA, place(number))
    node.store.address_book().met(BOB, place(1))
    node.store.address_book().met(ADA, place(7))
    node.store.close()
    again = make_node(realm, 0, tmp_path)
    book = again.store.address_book().all()
    assert [address for device, address in book if device == ADA] == [place(7), place(9), place(8), place(6)]
    assert len([1 for device, _ in book if device == ADA]) == ADDRESSES_PER_DEVICE_MAX
    assert [address for device, address in book if device == BOB] == [place(1)]
    again.store.close()


def test_meeting_again_at_the_same_place_writes_nothing(tmp_path: Path) -> None:
    node = make_node(live_realm(1), 0, tmp_path)
    node.store.address_book().met(ADA, place(1))
    before = (tmp_path / "device-0.db-wal").stat().st_size
    node.store.address_book().met(ADA, place(1))
    assert (tmp_path / "device-0.db-wal").stat().st_size == before
    node.store.close()


def test_a_book_of_many_devices_keeps_those_met_last(tmp_path: Path) -> None:
    node = make_node(live_realm(1), 0, tmp_path)
    for number in range(DEVICES_MAX + 5):
        node.store.address_book().met(DeviceId(bytes([number]) * 32), place(number))
    kept = {device for device, _ in node.store.address_book().all()}
    assert len(kept) == DEVICES_MAX
    assert DeviceId(bytes([DEVICES_MAX + 4]) * 32) in kept
    assert DeviceId(bytes([0]) * 32) not in kept
    node.store.close()


def test_an_address_is_on_the_disk_only_in_the_encrypted_store(tmp_path: Path) -> None:
    node = make_node(live_realm(1), 0, tmp_path)
    node.store.address_book().met(ADA, Address("canary.example", 4711))
    node.store.close()
    for file in tmp_path.rglob("*"):
        assert b"canary.example" not in file.read_bytes()
