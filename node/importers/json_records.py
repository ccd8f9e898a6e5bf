"""Takes a long JSON text apart into its records, one at a time, so that no file need fit into memory.

Records are the elements of an array at the top, or several values one after another (JSON lines). Brackets and strings
alone decide where a record ends, so that one which is no valid JSON inside costs nothing but itself.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

T = TypeVar("T")

#: Beyond this the brackets cannot be right; a conversation of years has some megabytes.
RECORD_BYTES_MAX = 256 * 1024 * 1024
_UP_TO_BRACKET = re.compile(rb'((?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+)([\[\]{}])', re.DOTALL)
_BETWEEN = b" \t\r\n,"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class JsonRecord:
    """The bytes of one record and the line on which it begins; `problem` says why it can be no record."""

    line: int
    content: bytes
    problem: str | None = None


class Unreadable(Exception):
    """A record is not what its format says; the message says where and how."""


def json_records(blocks: Iterable[bytes]) -> Iterator[JsonRecord]:
    """Return the records of a text in order; what stands between records and is none becomes one with a problem."""
    taking = _Taking()
    for block in blocks:
        yield from taking.take(block)
        if taking.given_up:
            return
    yield from taking.end()


class _Taking:
    """The text that is not yet a whole record, and where in it we are."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0
        # The line of a place in the buffer up to which newlines are counted.
        self._line, self._counted_to = 1, 0
        # Of the array at the top and everything inside; a record lies at depth 1 within an array, else at 0.
        self._depth = 0
        self._in_array = False
        self._record_at: int | None = None
        self._record_line = 1
        self._began = False
        self.given_up = False

    def take(self, block: bytes) -> Iterator[JsonRecord]:
        if not self._began:
            self._began = True
            block = block.removeprefix(_BYTE_ORDER_MARK)
        self._buffer += block
        while (match := _UP_TO_BRACKET.match(self._buffer, self._position)) is not None:
            self._position = match.end()
            if self._record_at is None:
                yield from self._between(match.start(1), match.end(1))
            yield from self._bracket(match[2], match.start(2))
        self._forget()
        if len(self._buffer) > RECORD_BYTES_MAX:
            self.given_up = True
            yield JsonRecord(
                self._record_line, bytes(self._buffer[:1000]), "no end of this record was found; reading stopped"
            )

    def end(self) -> Iterator[JsonRecord]:
        if self._record_at is not None:
            yield JsonRecord(self._record_line, bytes(self._buffer), "the file ends in the middle of this record")
        elif self._depth == 0 and (left := bytes(self._buffer).strip(_BETWEEN)):
            yield JsonRecord(self._line, left, "an object is expected here")
        elif self._depth:
            yield JsonRecord(self._line, bytes(self._buffer), "the file ends before its last bracket; it was cut off")

    def _between(self, start: int, end: int) -> Iterator[JsonRecord]:
        found = bytes(self._buffer[start:end]).strip(_BETWEEN)
        if found:
            yield JsonRecord(self._line_at(start), found, "an object is expected here")

    def _bracket(self, bracket: bytes, at: int) -> Iterator[JsonRecord]:
        outside = 1 if self._in_array else 0
        if bracket in b"[{":
            if self._depth == 0 and bracket == b"[":
                self._in_array = True
            elif self._depth == outside:
                self._record_at, self._record_line = at, self._line_at(at)
            self._depth += 1
            return
        self._depth = max(0, self._depth - 1)
        if self._record_at is not None and self._depth == outside:
            content = bytes(self._buffer[self._record_at : at + 1])
            self._record_at = None
            yield JsonRecord(self._record_line, content)
        elif self._depth == 0:
            self._in_array = False

    def _line_at(self, position: int) -> int:
        """Return the line of a place in the buffer that lies behind those asked for before."""
        self._line += self._buffer.count(b"\n", self._counted_to, position)
        self._counted_to = position
        return self._line

    def _forget(self) -> None:
        """Drop what has been told."""
        told = self._position if self._record_at is None else self._record_at
        if told:
            self._line_at(told)
            self._counted_to = 0
            del self._buffer[:told]
            self._position -= told
            self._record_at = None if self._record_at is None else 0


def decoded(content: bytes, kind: type[T]) -> T:
    """Return a record as a value of a type; raises Unreadable that says where it is none.

    Other programs write halves of characters and NULs, which no database keeps: each becomes a REPLACEMENT.
    """
    try:
        if rb"\u0000" not in content:
            return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise Unreadable(_sentence(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # tried again below, where more is let through
    try:
        mended = _mended(json.loads(content, parse_constant=lambda _name: None))
        return msgspec.json.decode(msgspec.json.encode(mended), type=kind)
    except msgspec.ValidationError as error:
        raise Unreadable(_sentence(error)) from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8 text") from error
    except (ValueError, OverflowError) as error:
        raise Unreadable("it is not valid JSON") from error


def keepable(text: str) -> str:
    """Return a text that the database can hold, with a REPLACEMENT for each character that it cannot."""
    return _UNKEEPABLE.sub(REPLACEMENT, text)


def _mended(value: object) -> object:
    match value:
        case str():
            return keepable(value)
        case list():
            return [_mended(item) for item in value]
        case dict():
            return {keepable(str(key)): _mended(item) for key, item in value.items()}
        case _:
            return value


def _sentence(error: msgspec.ValidationError) -> str:
    return str(error).replace("`", "")
