"""The pairing screens show a code that a camera can read and digits that nobody confuses."""

from itertools import combinations

import segno
from rich.console import Console

from node.cli.big_digits import draw_digits
from node.cli.pairing_rendering import render_code, render_confirm
from node.requests import CodeShown, ConfirmAsked

CODE = "NUT1:" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" * 3
# What a half block shows: the upper and the lower module; what is drawn is light.
LIGHT_BY_BLOCK = {"█": (True, True), "▀": (True, False), "▄": (False, True), " ": (False, False)}


def shown(content: object, *, width: int = 100) -> str:
    console = Console(width=width, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(content, crop=False)
    return capture.get()


def test_the_picture_is_the_code_module_by_module() -> None:
    text = shown(render_code(CodeShown(code=CODE, typed="ABCD-EFGH", expires_at="2026-11-21T01:07:03.456Z")))
    expected = [[not dark for dark in row] for row in segno.make(CODE, error="l", micro=False).matrix_iter(border=2)]
    width = len(expected[0])
    lines = [line[4 : 4 + width].ljust(width) for line in text.splitlines() if set(line[4:].strip()) <= set("█▀▄ ")]
    lines = [line for line in lines if line.strip()]
    modules = [[LIGHT_BY_BLOCK[block][half] for block in line] for line in lines for half in (0, 1)]
    assert modules[: len(expected)] == expected
    assert "ABCD-EFGH" in text


def test_the_command_to_copy_is_on_one_line_however_narrow_the_terminal() -> None:
    text = shown(render_code(CodeShown(code=CODE, typed="ABCD-EFGH", expires_at="2026-11-21T01:07:03.456Z")), width=60)
    assert f"nuthatch join {CODE} --name NAME\n" in text


def test_no_two_digits_look_alike() -> None:
    drawn = {digit: draw_digits(digit * 6) for digit in "0123456789"}
    assert all(drawn[a] != drawn[b] for a, b in combinations(drawn, 2))
    assert {len(line) for picture in drawn.values() for line in picture.splitlines()} == {38}


def test_the_question_says_what_a_yes_means_and_cannot_be_forged_by_a_name() -> None:
    text = shown(render_confirm(ConfirmAsked(name="tab\x1b[2Jlet", platform="linux", sas="493201")))
    assert "ALL of your memory" in text
    assert "\x1b" not in text
    assert all(line in text for line in draw_digits("493201").splitlines())
