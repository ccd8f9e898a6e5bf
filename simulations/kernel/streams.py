"""Seeded random streams, one for each entity, none of which shifts when another is drawn from more or less often."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

Item = TypeVar("Item")

_SPAN = 2**64


class SeededStream:
    """Counter-based randomness: draw n of an entity is H(seed, entity, n).

    One global generator would make every later decision depend on every earlier one, so that removing one fault
    changes the whole run. Here an entity's draws depend on nothing but the seed and how often it drew itself.
    """

    __slots__ = ("_count", "_key", "entity", "seed")

    def __init__(self, seed: int, entity: str) -> None:
        self.seed = seed
        self.entity = entity
        self._key = blake2b(f"{seed}\0{entity}".encode(), digest_size=32, person=b"nuthatch-sim").digest()
        self._count = 0

    def child(self, entity: str) -> "SeededStream":
        """Return the independent stream of a part of this entity."""
        return SeededStream(self.seed, f"{self.entity}/{entity}")

    def take(self, count: int) -> bytes:
        """Return `count` bytes; the signature of the entropy port."""
        pieces = bytearray()
        while len(pieces) < count:
            pieces += self._draw(min(64, count - len(pieces)))
        return bytes(pieces)

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound)."""
        if bound < 1:
            raise ValueError("a draw needs a bound of at least 1")
        return int.from_bytes(self._draw(8), "big") * bound // _SPAN

    def between(self, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return int.from_bytes(self._draw(8), "big") < probability * _SPAN

    def choice(self, items: Sequence[Item]) -> Item:
        """Return one of the items."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[Item, int]]) -> Item:
        """Return one of the items, each as likely as its weight."""
        point = self.below(sum(weight for _, weight in items))
        for item, weight in items:
            point -= weight
            if point < 0:
                return item
        raise ValueError("weights must be positive")

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in a random order."""
        rest = list(items)
        for index in range(len(rest) - 1, 0, -1):
            other = self.below(index + 1)
            rest[index], rest[other] = rest[other], rest[index]
        return rest

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """Return up to `count` different items."""
        return self.shuffled(items)[:count]

    def _draw(self, size: int) -> bytes:
        self._count += 1
        return blake2b(self._count.to_bytes(8, "big"), digest_size=size, key=self._key).digest()
