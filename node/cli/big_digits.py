"""Six digits drawn large enough to compare across a desk."""

_ROWS_BY_DIGIT = {
    "0": ("█▀▀█", "█  █", "█▄▄█"),
    "1": (" ▄█ ", "  █ ", " ▄█▄"),
    "2": ("▀▀▀█", "█▀▀▀", "█▄▄▄"),
    "3": ("▀▀▀█", " ▀▀█", "▄▄▄█"),
    "4": ("█  █", "▀▀▀█", "   █"),
    "5": ("█▀▀▀", "▀▀▀█", "▄▄▄█"),
    "6": ("█▀▀▀", "█▀▀█", "█▄▄█"),
    "7": ("▀▀▀█", "  ▄▀", "  █ "),
    "8": ("█▀▀█", "█▀▀█", "█▄▄█"),
    "9": ("█▀▀█", "▀▀▀█", "▄▄▄█"),
}


def draw_digits(digits: str) -> str:
    """Return three lines that show the digits in two groups, so that a person reads them three by three."""
    half = len(digits) // 2
    rows = []
    for row in range(3):
        groups = ("  ".join(_ROWS_BY_DIGIT[digit][row] for digit in group) for group in (digits[:half], digits[half:]))
        rows.append("      ".join(groups))
    return "\n".join(rows)
