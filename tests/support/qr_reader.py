"""Reads a QR code from its modules as ISO/IEC 18004 says, without correcting errors: what is damaged is refused.

Written from the standard alone, so that what draws codes is not judged by itself. Versions 1 to 10, levels L and M,
alphanumeric and byte mode: what a pairing code needs.
"""

from collections.abc import Sequence

Modules = Sequence[Sequence[bool]]

_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
# Table 9: (blocks, data codewords of each), by level and version.
_BLOCKS = {
    "L": (
        *(((1, words),) for words in (19, 34, 55, 80, 108)),
        *(((2, words),) for words in (68, 78, 97, 116)),
        ((2, 68), (2, 69)),
    ),
    "M": (
        ((1, 16),), ((1, 28),), ((1, 44),), ((2, 32),), ((2, 43),), ((4, 27),), ((4, 31),),
        ((2, 38), (2, 39)), ((3, 36), (2, 37)), ((4, 43), (1, 44)),
    ),
}  # fmt: skip
# Annex E: where the centres of alignment patterns are.
_ALIGNMENT: tuple[tuple[int, ...], ...] = (
    *((), (6, 18), (6, 22), (6, 26), (6, 30), (6, 34)),
    *((6, 22, 38), (6, 24, 42), (6, 26, 46), (6, 28, 50)),
)
_LEVEL_BY_BITS = {0b01: "L", 0b00: "M"}
_FORMAT_MASK = 0b101010000010010


class UnreadableError(Exception):
    """There is no such code in this picture."""


def read_qr(picture: Modules, *, quiet: int = 4) -> str:
    """Return the text of a code: one value a module, True is dark, with `quiet` modules of light around it."""
    modules = _without_quiet_zone(picture, quiet)
    size = len(modules)
    version = (size - 17) // 4
    level, mask = _format(modules)
    bits = [
        modules[row][column] ^ _MASKS[mask](row, column)
        for row, column in _path(size)
        if not _is_function(row, column, size, version)
    ]
    words = [_number(bits[start : start + 8]) for start in range(0, len(bits) - 7, 8)]
    return _text(_deinterleaved(words, _BLOCKS[level][version - 1]), version)


def _without_quiet_zone(picture: Modules, quiet: int) -> list[list[bool]]:
    size = len(picture[0]) - 2 * quiet
    if size < 21 or (size - 17) % 4 or any(len(row) != size + 2 * quiet for row in picture):
        raise UnreadableError("no code has this size")
    inner = [list(row[quiet : quiet + size]) for row in picture[quiet : quiet + size]]
    if sum(map(sum, picture)) != sum(map(sum, inner)) or len(picture) < size + 2 * quiet:
        raise UnreadableError("the light around the code is not whole")
    for row, column in ((0, 0), (0, size - 7), (size - 7, 0)):
        for y in range(7):
            for x in range(7):
                ring = max(abs(y - 3), abs(x - 3))
                if inner[row + y][column + x] != (ring != 2):
                    raise UnreadableError("a corner is missing, or the colours are turned round")
    return inner


def _format(modules: Modules) -> tuple[str, int]:
    size = len(modules)
    places = [(8, column) for column in (0, 1, 2, 3, 4, 5, 7, 8)] + [(row, 8) for row in (7, 5, 4, 3, 2, 1, 0)]
    again = [(row, 8) for row in range(size - 1, size - 8, -1)] + [(8, column) for column in range(size - 8, size)]
    value = _number([modules[row][column] for row, column in places])
    if value != _number([modules[row][column] for row, column in again]):
        raise UnreadableError("the two copies of the format differ")
    value ^= _FORMAT_MASK
    if value != _with_remainder(value >> 10):
        raise UnreadableError("the format is damaged")
    return _LEVEL_BY_BITS[value >> 13], value >> 10 & 7


def _with_remainder(data: int) -> int:
    remainder = data << 10
    for shift in range(4, -1, -1):
        if remainder >> shift + 10 & 1:
            remainder ^= 0b10100110111 << shift
    return data << 10 | remainder


_MASKS = (
    lambda i, j: (i + j) % 2 == 0,
    lambda i, j: i % 2 == 0,
    lambda i, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: i * j % 2 + i * j % 3 == 0,
    lambda i, j: (i * j % 2 + i * j % 3) % 2 == 0,
    lambda i, j: ((i + j) % 2 + i * j % 3) % 2 == 0,
)


def _path(size: int) -> list[tuple[int, int]]:
    """Return the modules in the order in which bits are laid: in pairs of columns, upwards and downwards in turn."""
    columns = [column for column in range(size - 1, 0, -2) if column > 6] + [5, 3, 1]
    path = []
    for turn, right in enumerate(columns):
        rows = range(size) if turn % 2 else range(size - 1, -1, -1)
        path += [(row, column) for row in rows for column in (right, right - 1)]
    return path


def _is_function(row: int, column: int, size: int, version: int) -> bool:
    """Tell whether a module belongs to a pattern that finds the code, or says what it is."""
    if row == 6 or column == 6:
        return True
    if (row < 9 and (column < 9 or column >= size - 8)) or (row >= size - 8 and column < 9):
        return True
    if version >= 7 and ((row < 6 and column >= size - 11) or (column < 6 and row >= size - 11)):
        return True
    centres = _ALIGNMENT[version - 1]
    return any(
        abs(row - y) <= 2 and abs(column - x) <= 2
        for y in centres
        for x in centres
        if (y, x) not in ((6, 6), (6, centres[-1]), (centres[-1], 6))
    )


def _deinterleaved(words: Sequence[int], groups: Sequence[tuple[int, int]]) -> list[int]:
    lengths = [length for count, length in groups for _ in range(count)]
    blocks: list[list[int]] = [[] for _ in lengths]
    remaining = iter(words)
    for position in range(max(lengths)):
        for block, length in zip(blocks, lengths, strict=True):
            if position < length:
                block.append(next(remaining))
    return [word for block in blocks for word in block]


def _text(words: Sequence[int], version: int) -> str:
    bits = [bool(word >> shift & 1) for word in words for shift in range(7, -1, -1)]
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return _number(bits[at - count : at])

    mode, parts = take(4), []
    while mode:
        if mode == 0b0010:
            count = take(9 if version < 10 else 11)
            for _ in range(count // 2):
                pair = take(11)
                parts.append(_ALPHANUMERIC[pair // 45] + _ALPHANUMERIC[pair % 45])
            if count % 2:
                parts.append(_ALPHANUMERIC[take(6)])
        elif mode == 0b0100:
            count = take(8 if version < 10 else 16)
            parts.append(bytes(take(8) for _ in range(count)).decode())
        else:
            raise UnreadableError(f"mode {mode} is not read here")
        mode = take(4) if at + 4 <= len(bits) else 0
    return "".join(parts)


def _number(bits: Sequence[bool]) -> int:
    return int("".join("1" if bit else "0" for bit in bits), 2)
