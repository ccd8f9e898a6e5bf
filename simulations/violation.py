"""The one exception of a simulation: an invariant does not hold."""


class Violation(AssertionError):
    """An invariant of `check` was broken; the message says where and how."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(f"{check}: {message}")
        self.check = check
        self.message = message
