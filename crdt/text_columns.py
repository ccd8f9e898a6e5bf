"""Spells numbers and columns of numbers as Automerge does: LEB128, run lengths, differences, alternating truths.

Source: the Automerge binary format specification, "Column encodings". A column of numbers is a row of runs: a positive
length with one value, a negative length with that many values that each differ from their neighbours, zero with a
number of nulls. Every function here reads or writes whole runs, so that a run of a million costs what one of two does.
"""

from collections.abc import Callable, Iterable

from crdt.errors import MergeError

#: (how many, value or null)
Runs = list[tuple[int, int | None]]

# Column numbers of a change's operations: id × 16 + type, as the specification lists them.
OBJECT_ACTOR, OBJECT_COUNTER, KEY_ACTOR, KEY_COUNTER, INSERT, ACTION = (
    b"\x01",
    b"\x02",
    b"\x11",
    b"\x13",
    b"\x34",
    b"\x42",
)
VALUE_SIZE, VALUE, DELETED, DELETED_ACTOR, DELETED_COUNTER = b"\x56", b"\x57", b"\x70", b"\x71", b"\x73"

_SMALL = [bytes([number]) for number in range(128)]


def unsigned(number: int) -> bytes:
    """Return a number ≥ 0 in the shortest form of unsigned LEB128."""
    if number < 128:
        return _SMALL[number]
    out = bytearray()
    while number >= 128:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def signed(number: int) -> bytes:
    """Return a number in the shortest form of signed LEB128."""
    if -64 <= number < 64:
        return _SMALL[number & 0x7F]
    out = bytearray()
    while not -64 <= number < 64:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number & 0x7F)
    return bytes(out)


def read_unsigned(raw: bytes, offset: int) -> tuple[int, int]:
    """Return the unsigned LEB128 number of at most 63 bits at `offset`, and the offset behind it; raise MergeError."""
    if offset < len(raw) and raw[offset] < 128:
        return raw[offset], offset + 1
    number, end, _ = _read(raw, offset)
    return number, end


def read_signed(raw: bytes, offset: int) -> tuple[int, int]:
    """Return the signed LEB128 number of at most 63 bits at `offset`, and the offset behind it; raise MergeError."""
    if offset < len(raw) and (byte := raw[offset]) < 128:
        return (byte - 128 if byte >= 64 else byte), offset + 1
    number, end, bits = _read(raw, offset)
    return (number - (1 << bits) if number >> (bits - 1) else number), end


def _read(raw: bytes, offset: int) -> tuple[int, int, int]:
    number = bits = 0
    while True:
        if offset >= len(raw) or bits > 56:
            raise MergeError("a change of a text ends within a number, or holds one beyond 63 bits")
        byte = raw[offset]
        offset += 1
        number |= (byte & 0x7F) << bits
        bits += 7
        if byte < 0x80:
            return number, offset, bits


def spell_runs(runs: Iterable[tuple[int, int | None]], spell: Callable[[int], bytes]) -> bytes:
    """Return the column of `runs`; neighbours of equal value are one run, a column of nulls alone is empty."""
    out: list[bytes] = []
    singles: list[bytes] = []
    standing = 0
    last: int | None = None
    valued = False
    for count, value in (*runs, (0, -1)):
        if value == last and standing and count:
            standing += count
            continue
        if standing == 1 and last is not None:
            singles.append(spell(last))
        elif standing:
            if singles:
                out += (signed(-len(singles)), *singles)
                singles = []
            out += (b"\0", unsigned(standing)) if last is None else (signed(standing), spell(last))
        valued = valued or (standing > 0 and last is not None)
        standing, last = count, value
    if singles:
        out += (signed(-len(singles)), *singles)
    return b"".join(out) if valued else b""


def read_runs(raw: bytes, read: Callable[[bytes, int], tuple[int, int]], most: int) -> Runs:
    """Return the runs of a column of at most `most` values; raise MergeError where it holds more or ends within one."""
    runs: Runs = []
    offset = total = 0
    while offset < len(raw):
        length, offset = read_signed(raw, offset)
        if length > 0:
            value, offset = read(raw, offset)
            runs.append((length, value))
        elif length == 0:
            length, offset = read_unsigned(raw, offset)
            runs.append((length, None))
        else:
            length = -length
            if length > most:
                break
            for _ in range(length):
                value, offset = read(raw, offset)
                runs.append((1, value))
        total += length
        if total > most:
            raise MergeError("a change of a text has more values than operations")
    return runs


def spell_truths(lengths: Iterable[int]) -> bytes:
    """Return the column of alternating runs of false and true, the first of false."""
    return b"".join(map(unsigned, lengths))


def read_truths(raw: bytes, most: int) -> list[int]:
    """Return the lengths of alternating runs of false and true; raise MergeError beyond `most` in all."""
    lengths: list[int] = []
    offset = 0
    while offset < len(raw):
        length, offset = read_unsigned(raw, offset)
        lengths.append(length)
        if (length == 0 and len(lengths) > 1) or sum(lengths[-2:]) > most:
            raise MergeError("a change of a text has an empty run, or more operations than are allowed")
    if sum(lengths) > most:
        raise MergeError("a change of a text has more operations than are allowed")
    return lengths
