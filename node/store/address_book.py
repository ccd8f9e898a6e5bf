"""Remembers where sessions with other devices were had, so that they are found again without asking the network."""

import msgspec

from crdt.identifiers import DeviceId
from node.store.database import Database
from node.transport.address import Address, parse_address

#: Home, office, a cable between two machines: the places where one device is met.
ADDRESSES_PER_DEVICE_MAX = 4
DEVICES_MAX = 64
_KEY = "addresses"
_BOOK = dict[bytes, list[str]]


class AddressBook:
    """The addresses of each device, the latest first. Local to this device: never replicated, hashed or sent."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        """Keep the book in an open database."""
        self._database = database

    def all(self) -> list[tuple[DeviceId, Address]]:
        """Return every device and address; raises StorageError."""
        return [(DeviceId(key), parse_address(text)) for key, texts in self._read().items() for text in texts]

    def met(self, device_id: DeviceId, address: Address) -> None:
        """Note that a session with the device was had there; raises StorageError. Nothing is written for old news."""
        book = self._read()
        texts = book.pop(device_id, [])
        if texts[:1] == [str(address)]:
            return
        kept = [str(address), *(text for text in texts if text != str(address))][:ADDRESSES_PER_DEVICE_MAX]
        newest = {bytes(device_id): kept, **dict(list(book.items())[: DEVICES_MAX - 1])}
        self._database.begin()
        try:
            self._database.change(
                "INSERT INTO _meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                (_KEY, msgspec.msgpack.encode(newest)),
            )
            self._database.commit()
        except BaseException:
            self._database.rollback()
            raise

    def _read(self) -> dict[bytes, list[str]]:
        rows = self._database.query("SELECT value FROM _meta WHERE key = ?", (_KEY,))
        return msgspec.msgpack.decode(rows[0][0], type=_BOOK) if rows else {}
