"""Spells secret bytes in Crockford's base 32, for people to read out, type and have checked group by group.

A group is four characters and a check character, so a mistake is found in the group in which it was made. Source of the
alphabet: Douglas Crockford, "Base 32" (crockford.com/base32.html): no I, L, O or U, and what looks alike reads alike.
The check character of c₁c₂c₃c₄ in group g (from 0) is αc₁ + α²c₂ + α³c₃ + α⁴c₄ + g over GF(32) with α⁵ = α² + 1:
every single wrong character, every swap of two neighbours and every swap of two groups is noticed. Bits that the last
group has to spare hold the start of a hash of the secret.
"""

from collections.abc import Sequence

from sync.crypto import hash256
from sync.errors import ProtocolError

GROUP_CHARACTERS = 5
_DATA_CHARACTERS = GROUP_CHARACTERS - 1
_DATA_BITS = 5 * _DATA_CHARACTERS
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE_BY_CHARACTER = {character: value for value, character in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_SEPARATORS = " -_./\t\r\n\u2010\u2011\u2013\u2014"
_REDUCED = 0b00101  # What α⁵ is.


class MalformedCode(ProtocolError):
    """What a person typed or pasted is not a code of the kind asked for; the message says what to do about it."""


def spell(secret: bytes) -> str:
    """Return `secret` in groups of five characters joined by hyphens: 20 bits a group."""
    groups = _groups_of(len(secret))
    spare = _DATA_BITS * groups - 8 * len(secret)
    number = int.from_bytes(secret, "big") << spare | _check(secret, spare)
    return "-".join(_group(number >> _DATA_BITS * (groups - 1 - index), index) for index in range(groups))


def read_spelled(text: str, *, secret_bytes: int) -> bytes:
    """Return the secret that `text` spells; case, hyphens, spaces and O for 0, I or L for 1 do not matter.

    Raises MalformedCode, naming the groups with a mistake where that can be told.
    """
    groups = _groups_of(secret_bytes)
    typed = _values(text)
    if len(typed) != groups * GROUP_CHARACTERS:
        raise MalformedCode(_wrong_length(text, typed, groups))
    cut = [typed[start : start + GROUP_CHARACTERS] for start in range(0, len(typed), GROUP_CHARACTERS)]
    if wrong := [index for index, group in enumerate(cut) if not _is_right(group, index)]:
        raise MalformedCode(f"{_named(wrong, groups)} in it; please compare it with the code that is shown.")
    number = 0
    for group in cut:
        for value in group[:_DATA_CHARACTERS]:
            number = number << 5 | value
    spare = _DATA_BITS * groups - 8 * secret_bytes
    secret = (number >> spare).to_bytes(secret_bytes, "big")
    if _check(secret, spare) != number & (1 << spare) - 1:
        raise MalformedCode("This code has several mistakes in it; please type all of it again.")
    return secret


def _groups_of(secret_bytes: int) -> int:
    return -(-8 * secret_bytes // _DATA_BITS)


def _check(secret: bytes, bits: int) -> int:
    return int.from_bytes(hash256(secret, person=b"nuthatch-spell")[:2], "big") & (1 << bits) - 1


def _group(number: int, index: int) -> str:
    values = [number >> shift & 31 for shift in range(_DATA_BITS - 5, -1, -5)]
    return "".join(_ALPHABET[value] for value in (*values, _check_value(values, index)))


def _check_value(values: Sequence[int], index: int) -> int:
    """Return the check character's value by Horner's rule: addition is exclusive or, multiplication by α a shift."""
    total = 0
    for value in reversed(values):
        total = _times_alpha(total ^ value)
    return total ^ index


def _times_alpha(value: int) -> int:
    return (value << 1 & 31) ^ (_REDUCED if value & 16 else 0)


def _is_right(group: Sequence[int], index: int) -> bool:
    return _check_value(group[:_DATA_CHARACTERS], index) == group[_DATA_CHARACTERS]


def _values(text: str) -> list[int]:
    """Return the characters' values; the message of a refusal names no more than the one that cannot be."""
    values: list[int] = []
    for character in text.upper():
        if character in _SEPARATORS:
            continue
        if character not in _VALUE_BY_CHARACTER:
            group = len(values) // GROUP_CHARACTERS + 1
            shown = character if character.isalnum() and character.isascii() else "a sign"
            raise MalformedCode(
                f"Group {group} has {shown} in it, which is in no code; please compare it with the one that is shown."
            )
        values.append(_VALUE_BY_CHARACTER[character])
    return values


def _wrong_length(text: str, typed: Sequence[int], groups: int) -> str:
    """Say where something is missing or too much: in a group as it was typed, else behind those that are right."""
    expected = groups * GROUP_CHARACTERS
    parts = "".join(" " if character in _SEPARATORS else character for character in text).split()
    odd = [number for number, part in enumerate(parts, 1) if len(part) != GROUP_CHARACTERS]
    if len(parts) == groups and len(odd) == 1:
        length = len(parts[odd[0] - 1])
        return f"Group {odd[0]} of {groups} has {length} characters instead of {GROUP_CHARACTERS}; please check it."
    right = 0
    while _is_right_group(typed, right):
        right += 1
    where = f" The first {right} groups are right; look behind them." if right else ""
    return f"This code has {len(typed)} characters instead of {expected}; please check it.{where}"


def _is_right_group(typed: Sequence[int], index: int) -> bool:
    group = typed[index * GROUP_CHARACTERS : (index + 1) * GROUP_CHARACTERS]
    return len(group) == GROUP_CHARACTERS and _is_right(group, index)


def _named(wrong: Sequence[int], groups: int) -> str:
    if len(wrong) == 1:
        return f"Group {wrong[0] + 1} of {groups} has a mistake"
    if len(wrong) > groups // 2:
        return "This is another code, or most of its groups have a mistake"
    numbers = ", ".join(str(index + 1) for index in wrong[:-1])
    return f"Groups {numbers} and {wrong[-1] + 1} of {groups} have mistakes"
