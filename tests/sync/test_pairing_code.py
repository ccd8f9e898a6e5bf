"""Codes are read as they were shown, forgivingly, and mistakes in them are noticed."""

from collections.abc import Callable
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis.strategies import binary

from sync import crockford
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
    assert [len(group) for group in CODE.typed.split("-")] == [5] * 7
    confused = CODE.typed.lower().replace("-", "  ").replace("0", "o").replace("1", "l")
    assert read_code(confused).secret == SECRET
    with pytest.raises(LocalProtocolError):
        _ = read.scanned


def test_every_single_mistake_in_a_typed_code_is_told_by_its_group() -> None:
    typed = CODE.typed.replace("-", "")
    for position, right in enumerate(typed):
        for wrong in "0123456789ABCDEFGHJKMNPQRSTVWXYZ":
            if wrong != right:
                with pytest.raises(MalformedCode, match=f"Group {position // 5 + 1} of 7 has a mistake"):
                    read_code(typed[:position] + wrong + typed[position + 1 :])


def test_neighbours_and_groups_that_changed_places_are_noticed() -> None:
    typed = CODE.typed.replace("-", "")
    for position in range(len(typed) - 1):
        swapped = typed[:position] + typed[position + 1] + typed[position] + typed[position + 2 :]
        if swapped != typed:
            with pytest.raises(MalformedCode, match="Group"):
                read_code(swapped)
    groups = CODE.typed.split("-")
    groups[1], groups[4] = groups[4], groups[1]
    with pytest.raises(MalformedCode, match="Groups 2 and 5 of 7 have mistakes"):
        read_code("-".join(groups))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda groups: [*groups[:2], groups[2][:4], *groups[3:]], "Group 3 of 7 has 4 characters instead of 5"),
        (lambda groups: [*groups[:2], groups[2] + "0", *groups[3:]], "Group 3 of 7 has 6 characters instead of 5"),
        (lambda groups: ["".join(groups)[:-1]], "34 characters instead of 35.*first 6 groups are right"),
        (lambda groups: groups[:6], "30 characters instead of 35.*first 6 groups are right"),
        (lambda groups: ["".join(groups).replace(groups[3], groups[3][1:])], "first 3 groups are right; look behind"),
        (lambda groups: [*groups[:3], "U" + groups[3][1:], *groups[4:]], "Group 4 has U in it"),
        (lambda groups: [*groups[:6], "é" + groups[6][1:]], "Group 7 has a sign in it"),
        (lambda groups: [group[1:] + group[0] for group in groups], "another code"),
    ],
)
def test_what_is_wrong_with_a_typed_code_is_said(change: Callable[[list[str]], list[str]], sentence: str) -> None:
    with pytest.raises(MalformedCode, match=sentence) as told:
        read_code("-".join(change(CODE.typed.split("-"))))
    assert all(group not in str(told.value) for group in CODE.typed.split("-"))


def test_two_mistakes_in_one_group_are_noticed_by_the_group_or_by_the_whole() -> None:
    group, rest = CODE.typed[:5], CODE.typed[5:]
    noticed = {True: 0, False: 0}
    for first, second in product("0123456789ABCDEFGHJKMNPQRSTVWXYZ", repeat=2):
        if first != group[0] and second != group[1]:
            with pytest.raises(MalformedCode) as told:
                read_code(first + second + group[2:] + rest)
            noticed["Group 1 of 7" in str(told.value)] += 1
    assert noticed[True] > 25 * noticed[False] > 0


@pytest.mark.parametrize("text", ["", "NUT1:", "NUT1:AAAA", "NUT1:!!!!", "NUT2:AAAA", "hello", "U" * 35, "é" * 35])
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
        assert read_spelled(spell(secret), secret_bytes=16) == secret


@given(secret=binary(min_size=1, max_size=32))
@settings(max_examples=200, derandomize=True)
def test_whatever_is_spelled_is_read_back(secret: bytes) -> None:
    assert read_spelled(spell(secret), secret_bytes=len(secret)) == secret


def test_a_check_that_forgets_a_place_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the check adds the values up, as if their order did not matter."""
    monkeypatch.setattr(crockford, "_times_alpha", lambda value: value)
    code = make_code(secret=SECRET, sponsor_noise_public=NOISE_PUBLIC).typed
    swapped = code[1] + code[0] + code[2:]
    assert swapped != code
    with pytest.raises(MalformedCode, match="several mistakes"):
        read_code(swapped)
