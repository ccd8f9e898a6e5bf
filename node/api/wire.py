"""How an error looks on the local API."""

import msgspec

from node.errors import HostError


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The class of the error, its sentence for the person and the exit code of a command that meets it."""

    kind: str
    message: str
    exit_code: int


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a reply that is an error, and the last line of a stream that failed."""

    error: ErrorBody


def encode_error(error: HostError) -> bytes:
    """Return an error as the API sends it."""
    body = ErrorBody(kind=type(error).__name__, message=str(error), exit_code=error.exit_code)
    return msgspec.json.encode(ErrorReply(error=body))
