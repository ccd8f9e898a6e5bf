"""How this device and its links stand, and which devices belong to the realm."""

from node.requests.operation import Operation, Request, Response


class StatusRequest(Request, frozen=True, kw_only=True):
    """Ask how this device stands; wait up to `wait_seconds` until it is in sync with every other device."""

    wait_seconds: float = 0.0


class PeerReport(Response, frozen=True, kw_only=True):
    """Another device of the realm as seen from here; `why` is one plain line unless `in_sync`."""

    device_id: str
    name: str
    connected: bool
    in_sync: bool
    why: str
    last_seen: str | None


class StreamReport(Response, frozen=True, kw_only=True):
    """One stream; `pending_in` and `pending_out` count batches known to be missing here and at connected peers."""

    name: str
    rows: int
    digest: str
    pending_in: int
    pending_out: int


class StatusReport(Response, frozen=True, kw_only=True):
    """The state of this device and of its links; `notices` are sentences about what happened to it lately.

    `derived` counts living rows that are out of sight, or show another reference, because of what was deleted.

    `discovery` is how looking for other devices on the local network goes: off, unpaired, no network, blocked,
    starting, alone or looking; empty if no node runs. `discovery_note` says what to do about it, empty unless there is
    something to do while a device is missing.

    `scrubbed` is when its rows were last compared with their hashes, None for never, and `damaged` what was found then.
    """

    device_id: str
    name: str
    realm_id: str
    running: bool
    peers: list[PeerReport]
    streams: list[StreamReport]
    conflicts: int
    held: int
    derived: int
    notices: list[str]
    discovery: str
    discovery_note: str
    scrubbed: str | None
    damaged: int


class DevicesRequest(Request, frozen=True, kw_only=True):
    """Ask which devices belong to the realm."""


class DeviceReport(Response, frozen=True, kw_only=True):
    """A device of the roster."""

    device_id: str
    name: str
    platform: str
    active: bool
    this_device: bool


class DeviceList(Response, frozen=True, kw_only=True):
    """The devices of the realm, active ones first."""

    devices: list[DeviceReport]


STATUS = Operation("status", StatusRequest, StatusReport)
DEVICES = Operation("devices", DevicesRequest, DeviceList)
