"""Spells secret bytes in Crockford's base 32, for people to read out, type and have checked.

Source: Douglas Crockford, "Base 32" (crockford.com/base32.html): no I, L, O or U, and what looks alike reads alike.
Instead of his one check symbol out of 37, two characters hold the number modulo 1021. That is a prime above 32, so
every single wrong character and every swap of two neighbours is noticed; of other mistakes 1020 in 1021 are.
"""

from sync.errors import ProtocolError

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE_BY_CHARACTER = {character: value for value, character in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_CHECK_PRIME = 1021
_CHECK_CHARACTERS = 2
_SEPARATORS = " -\t\r\n"


class MalformedCode(ProtocolError):
    """What a person typed or pasted is not a code of the kind asked for; the message says what to do about it."""


def spell(secret: bytes, *, group_characters: int) -> str:
    """Return `secret` in groups joined by hyphens, the two check characters in a group of their own at the end."""
    characters = (len(secret) * 8 + 4) // 5
    number = int.from_bytes(secret, "big")
    text = _digits(number, characters)
    groups = [text[start : start + group_characters] for start in range(0, characters, group_characters)]
    return "-".join([*groups, _digits(number % _CHECK_PRIME, _CHECK_CHARACTERS)])


def read_spelled(text: str, *, secret_bytes: int) -> bytes:
    """Return the secret that `text` spells; case, hyphens, spaces and O for 0, I or L for 1 do not matter.

    Raises MalformedCode if a character is impossible, some are missing or too many, or the check characters disagree.
    """
    typed = [character for character in text.upper() if character not in _SEPARATORS]
    characters = (secret_bytes * 8 + 4) // 5
    if not all(character in _VALUE_BY_CHARACTER for character in typed):
        raise MalformedCode("This code has a character that no code has; please compare it with the one shown.")
    if len(typed) != characters + _CHECK_CHARACTERS:
        raise MalformedCode(
            f"This code has {len(typed)} characters instead of {characters + _CHECK_CHARACTERS}; please check it."
        )
    number = _number(typed[:characters])
    if number % _CHECK_PRIME != _number(typed[characters:]) or number >= 2 ** (8 * secret_bytes):
        raise MalformedCode("This code has a typing mistake in it; please compare it with the one shown.")
    return number.to_bytes(secret_bytes, "big")


def _digits(number: int, characters: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (characters - 1), -1, -5))


def _number(characters: list[str]) -> int:
    number = 0
    for character in characters:
        number = number << 5 | _VALUE_BY_CHARACTER[character]
    return number
