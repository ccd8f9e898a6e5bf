"""A new device has a name that the others can show: the person's, or the machine's where nobody is asked."""

import os
import platform

import pytest

from node.cli.device_name import chosen_device_name, proposed_device_name
from node.cli.standard_input import StandardInput
from node.errors import UsageError


@pytest.fixture
def nobody() -> StandardInput:
    reading, writing = os.pipe()
    os.close(writing)
    return StandardInput(reading)


class Person(StandardInput):
    """Somebody who sits at a terminal."""

    def is_terminal(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("machine", "proposed"),
    [
        ("anas-laptop.lan", "anas-laptop"),
        ("", "device"),
        (".local", "device"),
        ("a\u202eb", "device"),
        ("x" * 65, "device"),
    ],
)
def test_the_machine_s_own_name_is_proposed_if_it_can_be_one(
    machine: str, proposed: str, nobody: StandardInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: machine)
    assert proposed_device_name() == proposed
    assert chosen_device_name(None, nobody) == proposed


def test_a_name_that_was_given_is_taken_or_refused(nobody: StandardInput) -> None:
    assert chosen_device_name("Ana's laptop", nobody) == "Ana's laptop"
    for unusable in ("", " x", "a\nb", "x" * 65):
        with pytest.raises(UsageError, match="1 to 64 visible characters"):
            chosen_device_name(unusable, nobody)


def test_a_person_is_asked_until_the_name_can_be_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "desk")
    answers = iter(["a\u202eb", "Schreibtisch"])

    def answer(question: str) -> str:
        print(question)
        return next(answers)

    monkeypatch.setattr("builtins.input", answer)
    assert chosen_device_name(None, Person()) == "Schreibtisch"
    told = capsys.readouterr().out
    assert told.count("What shall this device be called on the others? [desk]") == 2
    assert told.count("1 to 64 visible characters") == 1
    monkeypatch.setattr("builtins.input", lambda _question: "")
    assert chosen_device_name(None, Person()) == "desk"
