"""Codes are read as they were shown, forgivingly, and mistakes in them are noticed."""

from random import Random

import pytest

from sync.crockford import MalformedCode, read_spelled, spell
from sync.errors import LocalProtocolError
from sync.pairing_code import HINTS_MAX, make_code, read_code

SECRET = Random(3).randbytes(16)
NOISE_PUBLIC = bytes([7]) * 32
HINTS = ("192.168.1.20:7700", "[fe80::1%eth0]:7700", "laptop.local:65535")
CODE = make_code(secret=SECRET, sponsor_noise_public=NOISE_PUBLIC, hints=HINTS)


def test_the_scanned_form_says_everything() -> None:
    assert CODE.scanned.startswith("NUT1:")
    for text in (CODE.scanned, f"  {CODE.scanned}\n", CODE.scanned.lower()):
        assert read_code(text) == CODE


def test_the_typed_form_says_the_secret_however_it_is_typed() -> None:
    read = read_code(CODE.typed)
    assert (read.secret, read.sponsor_check, read.hints) == (SECRET, None, ())
    assert read.psk == CODE.psk
    assert read.rendezvous == CODE.rendezvous
    assert len(CODE.typed.replace("-", "")) == 28
    confused = CODE.typed.lower().replace("-", "  ").replace("0", "o").replace("1", "l")
    assert read_code(confused).secret == SECRET
    with pytest.raises(LocalProtocolError):
        _ = read.scanned


def test_every_single_mistake_in_a_typed_code_is_noticed() -> None:
    typed = CODE.typed.replace("-", "")
    for position, right in enumerate(typed):
        for wrong in "0123456789ABCDEFGHJKMNPQRSTVWXYZ":
            if wrong != right:
                with pytest.raises(MalformedCode):
                    read_code(typed[:position] + wrong + typed[position + 1 :])
    for position in range(len(typed) - 3):
        swapped = typed[:position] + typed[position + 1] + typed[position] + typed[position + 2 :]
        if swapped != typed:
            with pytest.raises(MalformedCode):
                read_code(swapped)


@pytest.mark.parametrize("text", ["", "NUT1:", "NUT1:AAAA", "NUT1:!!!!", "NUT2:AAAA", "hello", "U" * 28, "é" * 28])
def test_what_is_no_code_is_refused_with_advice(text: str) -> None:
    with pytest.raises(MalformedCode):
        read_code(text)


def test_every_single_mistake_in_a_scanned_code_is_noticed() -> None:
    scanned = CODE.scanned
    for position in range(5, len(scanned)):
        wrong = "A" if scanned[position] != "A" else "B"
        with pytest.raises(MalformedCode):
            read_code(scanned[:position] + wrong + scanned[position + 1 :])
        with pytest.raises(MalformedCode):
            read_code(scanned[:position])


@pytest.mark.parametrize("hint", ["laptop", "laptop:0", "laptop:70000", "a b:1", "http://x:1", "x:1/path", ""])
def test_a_hint_is_an_address(hint: str) -> None:
    with pytest.raises(LocalProtocolError):
        make_code(secret=SECRET, sponsor_noise_public=NOISE_PUBLIC, hints=[hint])


def test_a_code_is_made_of_exactly_what_it_needs() -> None:
    with pytest.raises(LocalProtocolError):
        make_code(secret=SECRET[:-1], sponsor_noise_public=NOISE_PUBLIC)
    with pytest.raises(LocalProtocolError):
        make_code(secret=SECRET, sponsor_noise_public=NOISE_PUBLIC, hints=["h:1"] * (HINTS_MAX + 1))
    assert SECRET.hex() not in repr(CODE)
    assert repr(SECRET) not in repr(CODE)


def test_spelling_keeps_leading_zeros() -> None:
    for secret in (bytes(16), bytes(15) + b"\1", b"\xff" * 16):
        assert read_spelled(spell(secret, group_characters=4), secret_bytes=16) == secret
