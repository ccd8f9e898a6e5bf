"""The trace of a run: a digest over everything that happened, and the last lines for a person to read."""

from collections import Counter, deque
from hashlib import blake2b


class Trace:
    """Equal seeds must give equal digests; `sometimes` counts show which situations a run really reached."""

    def __init__(self, lines_max: int = 40) -> None:
        self._hash = blake2b(digest_size=16, person=b"nuthatch-trace")
        self.recent: deque[str] = deque(maxlen=lines_max)
        self.sometimes: Counter[str] = Counter()

    def record(self, line: str, evidence: bytes = b"") -> None:
        """Add one event; `evidence` enters the digest only (batches, store digests)."""
        encoded = line.encode("utf-8", "backslashreplace")
        self._hash.update(len(encoded).to_bytes(4, "big") + encoded + len(evidence).to_bytes(4, "big") + evidence)
        self.recent.append(line)

    def reached(self, label: str, count: int = 1) -> None:
        """Count a situation that a good run ought to reach sometimes."""
        if count:
            self.sometimes[label] += count

    @property
    def digest(self) -> str:
        """Return the digest of all events so far."""
        return self._hash.hexdigest()
