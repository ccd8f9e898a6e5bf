"""Random cell values: mostly from a small pool so that they collide, sometimes at the edges of what SQLite stores."""

import math
from itertools import count

from node.store.schema import Column
from simulations.kernel.streams import SeededStream
from simulations.oracle.history import Cell

_WORDS = ("acorn", "bark", "cedar", "dusk", "ember", "fern", "grove", "hazel")
_ODD_TEXTS = ("", "  ", "it's", 'a "quote"', "naïve café", "e\u0301", "🪶 nut", "%_*", "NULL", "[1,2]", "\ud7ff\n\t")
_ODD_INTEGERS = (0, -1, 2**31, -(2**31) - 1, 2**53, -(2**53), 2**40 + 1)
_ODD_REALS = (0.0, -0.0, 1e308, -1e-308, math.inf, -math.inf, 0.1 + 0.2, 3.0)
_ODD_BLOBS = (b"", b"\0", bytes(range(256)), b"text")
_INSTANTS = tuple(f"2026-11-{day:02}T0{hour}:00:00.000Z" for day in range(1, 10) for hour in range(3))
# Of private use: no letters, so each is a word of its own, which an edit beside it leaves alone.
_FIRST_CHARACTER = 0xF0000
_CHARACTERS_PER_DEVICE = 0x1000
_KEYS = ("colour", "size", "shape", "it's")
_TAGS = ("red", "green", "blue", "it's", "ünïcode", "")


class Values:
    """Draws values for columns; every fresh text carries a word that no other text of the run has."""

    def __init__(self, random: SeededStream, prefix: str) -> None:
        self._random = random
        self._prefix = prefix
        # No two devices write one character: those of each come from a block of its own.
        self._characters = count(_FIRST_CHARACTER + _CHARACTERS_PER_DEVICE * int(prefix.lstrip("d")))
        self._numbers = count(1)
        self.words: list[str] = list(_WORDS)

    def fresh_word(self) -> str:
        """Return a word that occurs nowhere else (letters and digits only, so that search finds it alone)."""
        word = f"{self._prefix}w{next(self._numbers)}x"
        self.words.append(word)
        return word

    def text(self) -> str:
        """Return a text: usually words with a fresh one, now and then an awkward or a shared one."""
        kind = self._random.below(10)
        if kind == 0:
            return self._random.choice(_ODD_TEXTS)
        if kind == 1:
            return self._random.choice(_WORDS)
        words = [self._random.choice(_WORDS) for _ in range(self._random.below(4))]
        return " ".join([*words, self.fresh_word()])

    def amount(self) -> int:
        """Return what to add to a counter; negative subtracts."""
        return self._random.between(-3, 9)

    def tags(self, present: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return a set of tags that differs from `present` by one or two elements, or a new one."""
        changed = frozenset(self._random.sample(_TAGS, self._random.between(1, 2)))
        return present ^ changed

    def characters(self) -> frozenset[str]:
        """Return one to three characters that no text of the run holds."""
        return frozenset(chr(next(self._characters)) for _ in range(self._random.between(1, 3)))

    def leaf(self) -> str:
        """Return a leaf of a document, as `key=JSON`."""
        value = self._random.choice(("1", "2", "true", '"text"', "[1,2]", "null"))
        return f"{self._random.choice(_KEYS)}={value}"

    def initial(self, column: Column) -> Cell:
        """Return the value that an INSERT gives this column."""
        if column.strategy == "text":
            return self.characters() if self._random.chance(0.8) else frozenset()
        if column.strategy == "document":
            return frozenset({self.leaf()}) if self._random.chance(0.6) else frozenset()
        if column.strategy == "set":
            return frozenset(self._random.sample(_TAGS, self._random.below(3)))
        if column.strategy == "counter":
            return self._random.choice((0, 0, 1, 5, -2))
        return self.edited(column)

    def edited(self, column: Column) -> Cell:
        """Return a new value for an `lww`, `immutable`, `max` or `min` column."""
        if column.default is None and self._random.chance(0.15):
            return None
        if column.strategy in ("max", "min") and column.type == "TEXT":
            return self._random.choice(_INSTANTS)
        match column.type:
            case "TEXT":
                return self.text()
            case "INTEGER":
                odd = self._random.chance(0.25)
                return self._random.choice(_ODD_INTEGERS) if odd else self._random.between(-50, 50)
            case "REAL":
                odd = self._random.chance(0.25)
                return self._random.choice(_ODD_REALS) if odd else self._random.between(-40, 40) / 8
            case "BLOB":
                odd = self._random.chance(0.3)
                return self._random.choice(_ODD_BLOBS) if odd else self._random.take(self._random.between(1, 20))
