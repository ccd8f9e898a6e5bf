"""Encodes and strictly reads the fixed-width integers and length-prefixed strings that formats are made of.

``LP(x)`` in PROTOCOL.md is ``length_prefixed(x)``. Readers accept exactly what the writers produce: a short field, a
length above its limit or a byte left over raises ``RemoteProtocolError`` before anything is copied.
"""

from collections.abc import Iterable
from struct import Struct

from sync.errors import LocalProtocolError, RemoteProtocolError

_UINT32 = Struct(">I")
UINT32_MAX = 2**32 - 1
UINT64_MAX = 2**64 - 1
LENGTH_BYTES = 4


def encode_uint32(value: int) -> bytes:
    """Return ``value`` as 4 bytes, big-endian. Raises LocalProtocolError outside 0 … 2^32-1."""
    if not 0 <= value <= UINT32_MAX:
        raise LocalProtocolError(f"{value} does not fit an unsigned 32-bit field.")
    return value.to_bytes(4, "big")


def encode_uint64(value: int) -> bytes:
    """Return ``value`` as 8 bytes, big-endian. Raises LocalProtocolError outside 0 … 2^64-1."""
    if not 0 <= value <= UINT64_MAX:
        raise LocalProtocolError(f"{value} does not fit an unsigned 64-bit field.")
    return value.to_bytes(8, "big")


def length_prefixed(*parts: bytes) -> bytes:
    """Return every part behind its length (4 bytes, big-endian), concatenated: an injective encoding of the parts."""
    return join_length_prefixed(parts)


def join_length_prefixed(parts: Iterable[bytes]) -> bytes:
    """As ``length_prefixed``, for many parts at once."""
    pack_length = _UINT32.pack
    pieces: list[bytes] = []
    for part in parts:
        if len(part) > UINT32_MAX:
            raise LocalProtocolError("A length-prefixed string has less than 4 GiB.")
        pieces += (pack_length(len(part)), part)
    return b"".join(pieces)


class WireReader:
    """Reads fields one after the other from bytes of a peer; ``finish`` proves that none are left over.

    Every method raises RemoteProtocolError if the bytes do not hold the field asked for.
    """

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self._data = data
        self._offset = offset

    @property
    def offset(self) -> int:
        """How many bytes of the data were read or skipped."""
        return self._offset

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._offset

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self._offset + count
        if count < 0 or end > len(self._data):
            raise RemoteProtocolError("A message ends inside one of its fields.")
        field = self._data[self._offset : end]
        self._offset = end
        return field

    def uint8(self) -> int:
        return self.take(1)[0]

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def uint64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def length_prefixed(self, bytes_max: int, bytes_min: int = 0) -> bytes:
        """Return the next length-prefixed string, of ``bytes_min`` to ``bytes_max`` bytes."""
        length = self.uint32()
        if not bytes_min <= length <= bytes_max:
            raise RemoteProtocolError(f"A field of {length} bytes is outside the allowed {bytes_min} to {bytes_max}.")
        return self.take(length)

    def finish(self) -> None:
        """Raise RemoteProtocolError if bytes are left over."""
        if self.remaining:
            raise RemoteProtocolError(f"A message has {self.remaining} bytes behind its end.")


def read_length_prefixed_list(
    data: bytes, *, offset: int, count: int, item_bytes_max: int, item_bytes_min: int = 0
) -> tuple[list[bytes], int]:
    """Return ``count`` length-prefixed strings from ``offset`` on, and the offset behind the last.

    One loop without method calls: a bundle holds thousands of small batches. Raises RemoteProtocolError if a string is
    cut off or its length lies outside ``item_bytes_min`` … ``item_bytes_max``.
    """
    data_bytes = len(data)
    unpack_length = _UINT32.unpack_from
    items: list[bytes] = []
    for _ in range(count):
        start = offset + LENGTH_BYTES
        if start > data_bytes:
            raise RemoteProtocolError("A list ends inside the length of an item.")
        (length,) = unpack_length(data, offset)
        if not item_bytes_min <= length <= item_bytes_max:
            raise RemoteProtocolError(
                f"A list item of {length} bytes is outside the allowed {item_bytes_min} to {item_bytes_max}."
            )
        offset = start + length
        if offset > data_bytes:
            raise RemoteProtocolError("A list ends inside an item.")
        items.append(data[start:offset])
    return items, offset
