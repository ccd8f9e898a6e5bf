"""How a supervised node stands, as its supervisor tells it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`says` is the supervisor's own word; `advice` a sentence for the person, or nothing."""

    enabled: bool
    running: bool
    says: str
    advice: str = ""
