"""The digest of a stream: the sum modulo 2^256 of its row hashes, kept without reading the rows again."""

from collections.abc import Iterable

DIGEST_BYTES = 32
_MODULUS: int = 2 ** (8 * DIGEST_BYTES)
EMPTY_DIGEST = bytes(DIGEST_BYTES)


def sum_hashes(hashes: Iterable[bytes]) -> int:
    """Return the sum of 32-byte row hashes read as big-endian numbers (not yet reduced)."""
    return sum(map(int.from_bytes, hashes))


def move_digest(digest: bytes, *, added: int, removed: int) -> bytes:
    """Return `digest` after the sums `added` and `removed` of row hashes came and went."""
    moved = (int.from_bytes(digest, "big") + added - removed) % _MODULUS
    return moved.to_bytes(DIGEST_BYTES, "big")
