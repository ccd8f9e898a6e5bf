"""Names for devices, rows, stamps and dots, all of them fixed-length big-endian bytes.

Because every identifier is fixed-length and big-endian, comparing two of the same kind as bytes compares the
numbers inside them. A stamp can therefore be stored, compared and hashed without ever being taken apart.
"""

from hashlib import blake2b
from typing import NewType
from uuid import UUID

from crdt.errors import MergeError

DeviceId = NewType("DeviceId", bytes)
Incarnation = NewType("Incarnation", bytes)
Origin = NewType("Origin", bytes)
Sequence = NewType("Sequence", int)
RowId = NewType("RowId", bytes)
HybridTime = NewType("HybridTime", int)
Stamp = NewType("Stamp", bytes)
Dot = NewType("Dot", bytes)

DEVICE_ID_BYTES = 32
INCARNATION_BYTES = 8
ORIGIN_BYTES = DEVICE_ID_BYTES + INCARNATION_BYTES
ROW_ID_BYTES = 16
STAMP_BYTES = 8 + ORIGIN_BYTES + 8
DOT_BYTES = ORIGIN_BYTES + 8 + 4

#: Below every stamp that a device can make; carried by what a migration filled in.
ZERO_STAMP = Stamp(bytes(STAMP_BYTES))

# 2^31 transactions of one incarnation in one stream: the database binding turns larger integers into REAL.
SEQUENCE_MAX = 2**31 - 1


def exact_bytes(value: object, length: int, name: str) -> bytes:
    """Return `value` if it is exactly `length` bytes, else raise MergeError naming it."""
    if not isinstance(value, bytes) or len(value) != length:
        raise MergeError(f"a {name} is {length} bytes")
    return value


def make_origin(device_id: bytes, incarnation: bytes) -> Origin:
    """Return device id ‖ incarnation (40 bytes): who writes a chain of sequence numbers."""
    exact_bytes(device_id, DEVICE_ID_BYTES, "device id")
    exact_bytes(incarnation, INCARNATION_BYTES, "incarnation")
    return Origin(device_id + incarnation)


def origin_device(origin: Origin) -> DeviceId:
    """Return the device id inside an origin."""
    return DeviceId(origin[:DEVICE_ID_BYTES])


def origin_incarnation(origin: Origin) -> Incarnation:
    """Return the incarnation inside an origin."""
    return Incarnation(origin[DEVICE_ID_BYTES:])


def make_stamp(hlc: int, origin: Origin, seq: int) -> Stamp:
    """Return hlc ‖ origin ‖ seq (56 bytes), whose byte order is the order of versions."""
    exact_bytes(origin, ORIGIN_BYTES, "origin")
    return Stamp(hlc.to_bytes(8, "big") + origin + seq.to_bytes(8, "big"))


def stamp_hlc(stamp: Stamp) -> HybridTime:
    """Return the hybrid time inside a stamp."""
    return HybridTime(int.from_bytes(stamp[:8], "big"))


def stamp_origin(stamp: Stamp) -> Origin:
    """Return the origin inside a stamp."""
    return Origin(stamp[8 : 8 + ORIGIN_BYTES])


def stamp_seq(stamp: Stamp) -> Sequence:
    """Return the sequence number inside a stamp."""
    return Sequence(int.from_bytes(stamp[8 + ORIGIN_BYTES :], "big"))


def make_dot(origin: Origin, seq: int, index: int) -> Dot:
    """Return origin ‖ seq ‖ index (52 bytes): one element added to a set by one batch."""
    return Dot(origin + seq.to_bytes(8, "big") + index.to_bytes(4, "big"))


def dot_origin(dot: Dot) -> Origin:
    """Return the origin inside a dot."""
    return Origin(dot[:ORIGIN_BYTES])


def dot_seq(dot: Dot) -> Sequence:
    """Return the sequence number inside a dot."""
    return Sequence(int.from_bytes(dot[ORIGIN_BYTES : ORIGIN_BYTES + 8], "big"))


def dot_index(dot: Dot) -> int:
    """Return which of its batch's elements a dot is."""
    return int.from_bytes(dot[ORIGIN_BYTES + 8 :], "big")


def uuid7(unix_milliseconds: int, randomness: bytes) -> RowId:
    """Return a time-ordered UUIDv7 (RFC 9562 section 5.7) from 48 bits of time and 10 random bytes."""
    exact_bytes(randomness, 10, "randomness")
    head = (unix_milliseconds & (2**48 - 1)).to_bytes(6, "big")
    body = bytearray(head + randomness)
    body[6] = 0x70 | (body[6] & 0x0F)
    body[8] = 0x80 | (body[8] & 0x3F)
    return RowId(bytes(body))


def natural_row_id(table: str, key: str) -> RowId:
    """Return the deterministic id (a UUIDv8, RFC 9562 section 5.8) of the row that `key` names in `table`.

    Two devices that create the same key apart create one row.
    """
    name = table.encode() + b"\0" + key.encode()
    body = bytearray(blake2b(name, digest_size=ROW_ID_BYTES, person=b"nuthatch-row-id").digest())
    body[6] = 0x80 | (body[6] & 0x0F)
    body[8] = 0x80 | (body[8] & 0x3F)
    return RowId(bytes(body))


def row_id_to_text(row_id: bytes) -> str:
    """Return the usual hyphenated form of a row id."""
    return str(UUID(bytes=exact_bytes(row_id, ROW_ID_BYTES, "row id")))


def row_id_from_text(text: str) -> RowId:
    """Return the row id that `text` (hyphens optional) spells, else raise MergeError."""
    try:
        return RowId(UUID(text.strip()).bytes)
    except (ValueError, AttributeError) as error:
        raise MergeError("this is not an id; an id looks like 0192f0c1-5a3e-7b1c-8d2e-3f4a5b6c7d8e") from error
