"""Draws a pairing code as a QR code: on a terminal, two modules a character, or as a picture in a file.

Format: ISO/IEC 18004. A character is about 2 mm wide, so the usual code is some 8 cm, which a phone reads from half a
metre and more (a tenth of the distance is enough).
"""

from collections.abc import Iterator
from functools import cached_property
from io import BytesIO
from itertools import groupby

import segno
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

# Without this much light around it a reader does not find the code (ISO/IEC 18004, section 6.3.8).
QUIET_MODULES = 4
PIXELS_PER_MODULE = 12
_UPPER_HALF = "▀"
_COLOUR_OF_MODULE = ("#ffffff", "#000000")


class QrPicture:
    """The code as a terminal shows it: black on white whatever the theme, both colours of each character being set.

    Where that cannot be, a sentence says why and what to do instead.
    """

    def __init__(self, content: str) -> None:
        self._content = content

    @cached_property
    def modules(self) -> list[list[int]]:
        """The rows of the code and the light around it; 1 is dark."""
        code = segno.make(self._content, error="l", micro=False)
        return [list(row) for row in code.matrix_iter(border=QUIET_MODULES)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the picture, or the sentence."""
        if (why_not := self._obstacle(console, options)) is not None:
            yield Text(f"{why_not} `nuthatch pair --qr-png FILE` writes it as a picture.", style="yellow")
            return
        yield from self._lines()

    def _obstacle(self, console: Console, options: ConsoleOptions) -> str | None:
        wide = len(self.modules[0])
        # Below it stands how long it is good for.
        high = -(-len(self.modules) // 2) + 1
        if not console.is_terminal:
            return "The code is drawn to be scanned on a terminal only."
        if console.no_color or console.color_system is None:
            return "To be scanned the code needs black and white, and this terminal is to show no colours."
        if not options.encoding.lower().startswith("utf"):
            return "To be scanned the code needs a terminal that shows UTF-8."
        if options.max_width < wide or console.height < high:
            return (
                f"To be scanned the code needs {wide} columns and {high} lines, and this terminal has "
                f"{options.max_width} and {console.height}: make it larger, and show a new code."
            )
        return None

    def _lines(self) -> Iterator[Segment]:
        light = [0] * len(self.modules[0])
        for upper, lower in zip(self.modules[::2], [*self.modules[1::2], light], strict=False):
            for (above, below), run in groupby(zip(upper, lower, strict=True)):
                style = Style(color=_COLOUR_OF_MODULE[above], bgcolor=_COLOUR_OF_MODULE[below])
                yield Segment(_UPPER_HALF * len(list(run)), style)
            yield Segment.line()


def qr_png(content: str) -> bytes:
    """Return the code as a PNG, large enough to be scanned from a screen at arm's length."""
    written = BytesIO()
    segno.make(content, error="l", micro=False).save(
        written, kind="png", scale=PIXELS_PER_MODULE, border=QUIET_MODULES, dark="#000000", light="#ffffff"
    )
    return written.getvalue()
