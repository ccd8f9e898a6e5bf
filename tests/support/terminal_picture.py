"""What a terminal shows of coloured half blocks, and what a PNG of one bit a pixel shows: as a camera sees it."""

import re
import zlib

_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")
Picture = list[list[bool]]


def dark_halves(text: str) -> Picture:
    """Return for each upper and lower half of each character whether it is darker than the middle.

    Only characters of which both colours are set count; a line without any is left out.
    """
    rows: Picture = []
    for line in text.splitlines():
        upper, lower = _halves(line)
        if upper:
            rows += [upper, lower]
    return rows


def _halves(line: str) -> tuple[list[bool], list[bool]]:
    upper: list[bool] = []
    lower: list[bool] = []
    colours: dict[int, bool] = {}
    at = 0
    while at < len(line):
        if found := _ESCAPE.match(line, at):
            colours = _after(colours, found[1])
            at = found.end()
            continue
        if line[at] == "▀" and {38, 48} <= colours.keys():
            upper.append(colours[38])
            lower.append(colours[48])
        at += 1
    return upper, lower


def _after(colours: dict[int, bool], codes: str) -> dict[int, bool]:
    """Return which layer (38 is the letter's, 48 the ground's) is dark after these codes."""
    numbers = [int(code or 0) for code in codes.split(";")]
    found = dict(colours)
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            found = {}
        elif code in (38, 48) and numbers[0] == 2:
            found[code] = sum(numbers[1:4]) < 3 * 128
            del numbers[:4]
        elif code in (38, 48):
            found[code] = numbers[1] not in (15, 231, 255)
            del numbers[:2]
        elif code in (30, 97, 37):
            found[38] = code == 30
        elif code in (40, 107, 47):
            found[48] = code == 40
    return found


def dark_pixels(png: bytes) -> Picture:
    """Return the pixels of a PNG of one bit a pixel, greyscale or with a palette; True is dark (RFC 2083)."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, dict[bytes, bytes]()
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + content) == int.from_bytes(png[at + 8 + length : at + 12 + length], "big")
        chunks[kind] = chunks.get(kind, b"") + content
        at += 12 + length
    width, height = (int.from_bytes(chunks[b"IHDR"][start : start + 4], "big") for start in (0, 4))
    depth, kind_of_colour = chunks[b"IHDR"][8], chunks[b"IHDR"][9]
    assert depth == 1
    one_is_dark = kind_of_colour == 3 and sum(chunks[b"PLTE"][3:6]) < sum(chunks[b"PLTE"][:3])
    lines = zlib.decompress(chunks[b"IDAT"])
    bytes_in_line = -(-width // 8)
    rows: Picture = []
    line = bytes(bytes_in_line)
    for row in range(height):
        start = row * (bytes_in_line + 1)
        assert lines[start] in (0, 2), "a filter that is not read here"
        above = line if lines[start] == 2 else bytes(bytes_in_line)
        written = lines[start + 1 : start + 1 + bytes_in_line]
        line = bytes((one + other) % 256 for one, other in zip(written, above, strict=True))
        rows.append([bool(line[column // 8] >> 7 - column % 8 & 1) == one_is_dark for column in range(width)])
    return rows


def shrunk(picture: Picture, factor: int) -> Picture:
    """Return one value for each square of `factor` pixels, which must be of one colour."""
    rows = picture[::factor]
    for number, line in enumerate(picture):
        assert line == rows[number // factor]
    assert all(line[column] == line[column // factor * factor] for line in rows for column in range(len(line)))
    return [line[::factor] for line in rows]
