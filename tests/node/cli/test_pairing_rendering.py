"""The pairing screens show a code that a camera can read and digits that nobody confuses."""

import re
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from itertools import combinations
from random import Random
from typing import Any, Literal

import pytest
from msgspec import structs
from rich.console import Console, RenderableType

from node.cli.big_digits import draw_digits
from node.cli.pairing_commands import clock_text
from node.cli.pairing_rendering import render_code, render_confirm, render_sas
from node.cli.qr_picture import PIXELS_PER_MODULE, QrPicture, qr_png
from node.cli.recovery_code import confirm_recovery_code, two_groups
from node.joining import SasShown
from node.requests import CodeShown, ConfirmAsked, Readable
from sync.pairing_code import make_code
from tests.support.qr_reader import UnreadableError, read_qr
from tests.support.terminal_picture import dark_halves, dark_pixels, shrunk

CODE = make_code(
    secret=Random(5).randbytes(16), sponsor_noise_public=bytes(32), hints=["192.168.100.120:54321", "10.0.0.1:4711"]
)
CODE_SHOWN = CodeShown(code=CODE.scanned, typed=CODE.typed, expires_at="2026-11-21T01:07:03.456Z")
READABLE = Readable(conversations=12, messages=3456, memories=1, rows=4000, since="2019-04-02T10:00:00.000Z")


def shown(content: RenderableType, *, width: int = 100) -> str:
    console = Console(width=width, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(content, crop=False)
    return capture.get()


def on_terminal(
    content: RenderableType,
    *,
    width: int = 80,
    height: int = 40,
    colours: Literal["truecolor", "256", "standard"] | None = "truecolor",
    encoding: str = "utf-8",
) -> str:
    file = TextIOWrapper(BytesIO(), encoding=encoding, errors="replace")
    console = Console(file=file, force_terminal=True, color_system=colours, width=width, height=height)
    console.print(content, crop=False)
    file.flush()
    assert isinstance(file.buffer, BytesIO)
    return file.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("colours", ["truecolor", "256", "standard"])
def test_a_camera_reads_the_code_from_the_terminal(colours: Literal["truecolor", "256", "standard"]) -> None:
    picture = dark_halves(on_terminal(render_code(CODE_SHOWN), colours=colours))
    assert read_qr(picture) == CODE.scanned
    assert len(picture[0]) <= 49


def test_codes_of_every_length_are_read() -> None:
    for hints in ([], ["a.example:1"], ["[fe80::1234:5678:9abc:def0%eth0]:65535"] * 2):
        code = make_code(secret=Random(len(hints)).randbytes(16), sponsor_noise_public=bytes(32), hints=hints).scanned
        assert read_qr(dark_halves(on_terminal(QrPicture(code), height=60))) == code
        assert read_qr(shrunk(dark_pixels(qr_png(code)), PIXELS_PER_MODULE)) == code


def test_a_picture_that_is_spoilt_is_not_read() -> None:
    """The camera of these tests notices what a phone would stumble over."""
    picture = dark_halves(on_terminal(QrPicture(CODE.scanned)))
    turned = [[not dark for dark in row] for row in picture]
    narrow = [row[2:-2] for row in picture[2:-2]]
    for spoilt in (turned, narrow, [row[:-1] for row in picture], picture[:-6]):
        with pytest.raises(UnreadableError):
            read_qr(spoilt)


@pytest.mark.parametrize(
    ("terminal", "sentence"),
    [
        ({"width": 40}, "needs 45 columns and 24 lines, and this terminal has 40 and 40"),
        ({"height": 20}, "needs 45 columns and 24 lines, and this terminal has 80 and 20"),
        ({"colours": None}, "this terminal is to show no colours"),
        ({"encoding": "latin-1"}, "a terminal that shows UTF-8"),
    ],
)
def test_a_terminal_that_cannot_show_the_picture_is_told_and_shows_the_rest(
    terminal: dict[str, Any], sentence: str
) -> None:
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(render_code(CODE_SHOWN), **terminal)).split())
    assert sentence in text
    assert "--qr-png" in text
    assert "▀" not in text
    assert CODE.typed in text


def test_where_nobody_watches_no_picture_is_drawn() -> None:
    text = shown(render_code(CODE_SHOWN))
    assert "on a terminal only" in text
    assert CODE.typed in text


def test_the_command_to_copy_is_on_one_line_however_narrow_the_terminal() -> None:
    text = shown(render_code(CODE_SHOWN), width=60)
    assert f"nuthatch join {CODE.scanned}\n" in text
    assert CODE.typed in text


def test_no_two_digits_look_alike() -> None:
    drawn = {digit: draw_digits(digit * 6) for digit in "0123456789"}
    assert all(drawn[a] != drawn[b] for a, b in combinations(drawn, 2))
    assert {len(line) for picture in drawn.values() for line in picture.splitlines()} == {38}


@pytest.mark.parametrize(
    ("width", "encoding", "large"), [(80, "utf-8", True), (40, "utf-8", False), (80, "ascii", False)]
)
def test_the_digits_are_never_torn_apart(width: int, encoding: str, large: bool) -> None:
    text = on_terminal(render_sas(SasShown(sas="493201", name="Phone")), width=width, encoding=encoding, colours=None)
    assert "493 201" in text
    assert all(line.rstrip() in text for line in draw_digits("493201").splitlines()) is large
    assert ("█" in text or "?" in text) is large


def test_the_question_says_what_a_yes_means_and_cannot_be_forged_by_a_name() -> None:
    asked = ConfirmAsked(
        name="tab\x1b[2Jlet",
        platform="linux",
        sas="493201",
        readable=READABLE,
        name_taken=False,
        expires_at="2026-11-21T01:12:03.456Z",
    )
    text = shown(render_confirm(asked))
    assert "ALL of your memory" in text
    assert "12 conversations with 3,456 messages, 1 memory, 4,000 rows in all, from 2019-04-02 on." in text
    assert "already" not in text
    assert "\x1b" not in text
    assert all(line in text for line in draw_digits("493201").splitlines())
    assert "You have a device called" in shown(render_confirm(structs.replace(asked, name_taken=True)))


def test_a_clock_shows_minutes_and_seconds() -> None:
    assert [clock_text(seconds) for seconds in (299.6, 300, 61.2, 9, 0)] == ["5:00", "5:00", "1:01", "0:09", "0:00"]


def asked_for(code: str, *answers: str) -> tuple[list[str], list[str]]:
    """Return what is asked and what is told until these answers are used up or right."""
    asked, told, waiting = list[str](), list[str](), list(answers)

    def ask(question: str) -> str:
        asked.append(question)
        if not waiting:
            raise EOFError
        return waiting.pop(0)

    with suppress(EOFError):
        confirm_recovery_code(code, ask=ask, tell=told.append, choose=lambda groups: [1, groups - 1])
    return asked, told


def test_a_recovery_code_counts_as_written_down_once_two_groups_of_it_were_typed() -> None:
    code = "00001-0A1B2-22222-33331"
    asked, told = asked_for(code, " 0alb2", "33331 ")
    assert asked == ["Group 2 of your recovery code: ", "Group 4 of your recovery code: "]
    assert told == ["It is written down right."]


def test_a_wrong_group_of_a_recovery_code_is_asked_for_again() -> None:
    asked, told = asked_for("00001-0A1B2-22222-33331", "22222", "oalb2", "", "3333i")
    assert [question[:7] for question in asked] == ["Group 2", "Group 2", "Group 4", "Group 4"]
    assert [sentence[:8] for sentence in told] == ["That is ", "That is ", "It is wr"]


def test_two_different_groups_are_asked_for() -> None:
    chosen = [two_groups(8) for _ in range(50)]
    assert all(first < second < 8 for first, second in chosen)
    assert len({tuple(pair) for pair in chosen}) > 5
