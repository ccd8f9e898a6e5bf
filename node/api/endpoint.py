"""Where a running node's local API listens, and the token that opens it: a file of the home, there while it runs."""

import msgspec

from node.errors import NotRunningError
from node.home import Home, write_private_file


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`address` is host:port on loopback; `token` is the bearer token."""

    address: str
    token: str

    def __repr__(self) -> str:
        """Keep the token out of logs and tracebacks."""
        return f"Endpoint(address={self.address!r}, token=<redacted>)"


def write_endpoint(home: Home, endpoint: Endpoint) -> None:
    """Publish the API to programs of this person (mode 0600); raises `StorageError`."""
    write_private_file(home.token_file, endpoint.token.encode())
    write_private_file(home.api_file, msgspec.json.encode(endpoint))


def read_endpoint(home: Home) -> Endpoint:
    """Return where the running node listens; raises `NotRunningError` if none has said so."""
    try:
        return msgspec.json.decode(home.api_file.read_bytes(), type=Endpoint)
    except (OSError, msgspec.MsgspecError) as error:
        home.require()
        raise NotRunningError("No node runs on this home. Start one with `nuthatch run`.") from error


def remove_endpoint(home: Home) -> None:
    """Take the API's files away when the node stops."""
    home.token_file.unlink(missing_ok=True)
    home.api_file.unlink(missing_ok=True)
