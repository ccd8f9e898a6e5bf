"""Draws the demonstration as a picture: what a person sees, as an SVG that loads nothing from anywhere."""

import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import msgspec
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from node.demo.findings import Finding, Finished
from node.demo.screen import render_finding

_COLUMNS = 100


def _colours(hexadecimal: str) -> list[tuple[int, int, int]]:
    """Return colours, each given as red, green and blue in six digits."""
    return [(colour[0], colour[1], colour[2]) for colour in map(bytes.fromhex, hexadecimal.split())]


# Quiet colours that can be read on the dark ground, where the page around the picture is light and where it is dark.
_GROUND, _TEXT = _colours("1d2128 d4d8de")
_THEME = TerminalTheme(
    _GROUND,
    _TEXT,
    _colours("1d2128 eb6e64 7dc878 deb45a 6ea5e6 be8cdc 5fc3c8 d4d8de"),
    _colours("6e7681 f58278 96dc91 f0cd78 8cbefa d2a5f0 7ddce1 f5f7fa"),
)
# Rich's own frame fetches a font from a server; whatever font with equal widths is there does as well.
_FRAME = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="make demo">
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
.{unique_id}-title {{ font: bold 18px system-ui, sans-serif; }}
{styles}
</style>
<defs>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def draw(findings: Sequence[Finding]) -> str:
    """Return the picture of these findings, one below the other, as SVG."""
    console = Console(
        record=True, width=_COLUMNS, file=StringIO(), force_terminal=True, color_system="standard", highlight=False
    )
    console.print(Text.assemble(("$ ", "dim"), "make demo"))
    for finding in findings:
        console.print(render_finding(finding))
    return console.export_svg(title="three devices, one memory", theme=_THEME, code_format=_FRAME, unique_id="demo")


def main(path: Path) -> None:
    """Draw what `nuthatch --json demo` writes, read from standard input, into a file.

    Where the demonstration did not come to its end, nothing is drawn.
    """
    decoder: msgspec.json.Decoder[Finding] = msgspec.json.Decoder(Finding)
    findings = [decoder.decode(line) for line in sys.stdin.buffer]
    if not findings or not isinstance(findings[-1], Finished):
        sys.exit("The demonstration did not come to its end; the picture stays as it was.")
    path.write_text(draw(findings), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
