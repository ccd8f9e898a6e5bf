"""Names who broke the protocol: our own code or the peer.

The split is h11's. A caller catches ``RemoteProtocolError`` around everything that touches a peer's bytes and closes
the link; a ``LocalProtocolError`` is a defect of this program and is never caught on the way up.
"""

from msgspec import DecodeError

#: What msgspec raises for bytes that do not spell what they should; bad UTF-8 and deep nesting are no DecodeError.
UNDECODABLE = (DecodeError, UnicodeDecodeError, RecursionError)


class ProtocolError(Exception):
    """A rule of the sync protocol was broken."""


class LocalProtocolError(ProtocolError):
    """This program called the protocol wrongly, for example a step out of turn or a value too large to encode."""


class RemoteProtocolError(ProtocolError):
    """Bytes of a peer break the protocol. The only exceptions that a peer's bytes may cause are of this class."""


class Rejected(RemoteProtocolError):
    """A cryptographic check failed.

    It carries no detail: which of the checks failed is what an attacker would like to learn, and an exception that
    holds the arguments could end in a log together with a key.
    """

    def __init__(self) -> None:
        super().__init__("A cryptographic check failed; the data was refused.")


class UnknownKeyEpoch(RemoteProtocolError):
    """An envelope is sealed under a key epoch that this device does not hold: its statement has not arrived yet."""

    def __init__(self) -> None:
        super().__init__("The envelope is sealed under a key epoch that this device does not hold.")
