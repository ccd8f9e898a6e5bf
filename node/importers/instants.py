"""Reads the instants of other programs: seconds since 1970, ISO 8601 in any zone, or a date alone."""

import math
import re
from datetime import UTC, date, datetime, time

# The years that four digits can write; beyond this a number is no time.
_MILLISECONDS_MAX = 253_402_300_799_999
# Seconds since 1970 reach this in the year 5138; a greater number counts milliseconds.
_SECONDS_MAX = 100_000_000_000
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def instant_milliseconds(value: object) -> int | None:
    """Return an instant in milliseconds since 1970, None if `value` is none; what names no zone is read as UTC."""
    match value:
        case bool():
            return None
        case int() | float():
            return _of_number(value)
        case datetime():
            return _of_moment(value)
        case date():
            return _of_moment(datetime.combine(value, time()))
        case str():
            return _of_text(value.strip())
        case _:
            return None


def _of_text(text: str) -> int | None:
    if _NUMBER.fullmatch(text):
        # '2024' and '20240131' are dates to a person; a program that counts seconds has had ten digits since 2001.
        return _of_number(float(text)) if len(text.partition(".")[0]) >= 9 else _of_iso(text)
    return _of_iso(text)


def _of_iso(text: str) -> int | None:
    try:
        return _of_moment(datetime.fromisoformat(text))
    except ValueError:
        return None


def _of_number(number: float) -> int | None:
    if not math.isfinite(number):
        return None
    milliseconds = round(number * 1000) if abs(number) < _SECONDS_MAX else round(number)
    return milliseconds if 0 <= milliseconds <= _MILLISECONDS_MAX else None


def _of_moment(moment: datetime) -> int | None:
    try:
        at = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        milliseconds = round(at.timestamp() * 1000)
    except (OverflowError, ValueError):
        return None
    return milliseconds if 0 <= milliseconds <= _MILLISECONDS_MAX else None
