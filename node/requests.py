"""What can be asked of a node and what it answers: one typed request and response for each operation.

The same values travel over the local HTTP API and, when no node runs, straight into the service of a command. This
module knows no store and no network, so that a command which only talks to a running node loads neither.

An `Operation` is answered once; a `StreamOperation` answers with a series of events, each a JSON object whose field
`event` names its kind.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Operation(Generic[Q, R]):
    """A named question with one answer."""

    name: str
    request: type[Q]
    response: type[R]


@dataclass(frozen=True, slots=True)
class StreamOperation(Generic[Q, E]):
    """A named request that answers with events until it is done."""

    name: str
    request: type[Q]
    events: "msgspec.json.Decoder[E]" = field(repr=False)


class Caller(Protocol):
    """Whoever performs operations: a running node behind its local API, or a home opened by this process."""

    async def call(self, operation: Operation[Q, R], request: Q) -> R:
        """Perform an operation; raises the `HostError` that the node raised."""

    def stream(self, operation: StreamOperation[Q, E], request: Q) -> AsyncGenerator[E, None]:
        """Perform an operation that answers with events; raises the `HostError` that the node raised."""


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request refuses fields that it does not know: a misspelt option is an error, not a silent default."""


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response may gain fields later, so a reader ignores those it does not know."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """One line of a stream."""


# The device and its peers


class StatusRequest(_Request, frozen=True, kw_only=True):
    """Ask how this device stands; wait up to `wait_seconds` until it is in sync with every other device."""

    wait_seconds: float = 0.0


class PeerReport(_Response, frozen=True, kw_only=True):
    """Another device of the realm as seen from here; `why` is one plain line unless `in_sync`."""

    device_id: str
    name: str
    connected: bool
    in_sync: bool
    why: str
    last_seen: str | None


class StreamReport(_Response, frozen=True, kw_only=True):
    """One stream; `pending_in` and `pending_out` count batches known to be missing here and at connected peers."""

    name: str
    rows: int
    digest: str
    pending_in: int
    pending_out: int


class StatusReport(_Response, frozen=True, kw_only=True):
    """The state of this device and of its links."""

    device_id: str
    name: str
    realm_id: str
    running: bool
    peers: list[PeerReport]
    streams: list[StreamReport]
    conflicts: int
    held: int


class DevicesRequest(_Request, frozen=True, kw_only=True):
    """Ask which devices belong to the realm."""


class DeviceReport(_Response, frozen=True, kw_only=True):
    """A device of the roster."""

    device_id: str
    name: str
    platform: str
    active: bool
    this_device: bool


class DeviceList(_Response, frozen=True, kw_only=True):
    """The devices of the realm, active ones first."""

    devices: list[DeviceReport]


# Memories


class RememberRequest(_Request, frozen=True, kw_only=True):
    """Keep a text."""

    text: str
    namespace: str = "default"
    tags: list[str] = []


class Remembered(_Response, frozen=True, kw_only=True):
    """The id of the new memory."""

    id: str


class RecallRequest(_Request, frozen=True, kw_only=True):
    """Search memories and messages; any text is a valid query."""

    query: str
    limit: int = 10


class RecallResult(_Response, frozen=True, kw_only=True):
    """One hit; a greater score is a better one."""

    id: str
    table: str
    text: str
    score: float
    title: str | None
    namespace: str | None
    tags: list[str]
    speaker: str | None
    created_at: str | None


class Recalled(_Response, frozen=True, kw_only=True):
    """The best hits, best first."""

    results: list[RecallResult]


class ListRequest(_Request, frozen=True, kw_only=True):
    """List memories, newest first."""

    namespace: str | None = None
    limit: int = 50


class MemoryReport(_Response, frozen=True, kw_only=True):
    """A memory."""

    id: str
    text: str
    namespace: str
    tags: list[str]
    created_at: str | None
    updated_at: str | None


class MemoryList(_Response, frozen=True, kw_only=True):
    """Memories, newest first."""

    memories: list[MemoryReport]


class ShowRequest(_Request, frozen=True, kw_only=True):
    """Show one record, whatever its table."""

    id: str


class Shown(_Response, frozen=True, kw_only=True):
    """A record with all its columns; bytes appear as `{"$base64": …}`."""

    id: str
    table: str
    fields: dict[str, object]


class EditRequest(_Request, frozen=True, kw_only=True):
    """Give a memory or message a new text."""

    id: str
    text: str


class Edited(_Response, frozen=True, kw_only=True):
    """The id of what was changed."""

    id: str


class ForgetRequest(_Request, frozen=True, kw_only=True):
    """Delete a record for good, on every device."""

    id: str


class Forgotten(_Response, frozen=True, kw_only=True):
    """What was forgotten, together with the rows that belonged to it."""

    id: str
    table: str


# SQL, import, export


class SqlRequest(_Request, frozen=True, kw_only=True):
    """Run one statement on the person's tables; a parameter is a JSON scalar or `{"$base64": …}`."""

    statement: str
    parameters: list[object] = []


class SqlResult(_Response, frozen=True, kw_only=True):
    """The rows that a statement gave; bytes appear as `{"$base64": …}`."""

    columns: list[str]
    rows: list[list[object]]
    changes: int


class ImportRequest(_Request, frozen=True, kw_only=True):
    """Import a file; `path` is absolute, the process that owns the store reads it."""

    format: str
    path: str


class ImportProgress(_Event, frozen=True, kw_only=True, tag="progress"):
    """How far an import is, in records."""

    done: int
    total: int


class Imported(_Event, frozen=True, kw_only=True, tag="imported"):
    """An import is complete: rows added, already present, and skipped because they were forgotten."""

    added: int
    unchanged: int
    skipped: int


ImportEvent = ImportProgress | Imported


class ExportRequest(_Request, frozen=True, kw_only=True):
    """Export everything that a person keeps here."""

    format: str = "jsonl"


class ExportLine(_Event, frozen=True, kw_only=True, tag="line"):
    """One line of the exported file, without its newline."""

    line: str


# Pairing and events


class PairRequest(_Request, frozen=True, kw_only=True):
    """Open a pairing window; the owner's passphrase signs the new device into the realm."""

    owner_passphrase: str

    def __repr__(self) -> str:
        """Keep the passphrase out of logs and tracebacks."""
        return "PairRequest(owner_passphrase=<redacted>)"


class CodeShown(_Event, frozen=True, kw_only=True, tag="code"):
    """The code to enter on the new device, as a QR text and in a form to type; valid once, until `expires_at`."""

    code: str
    typed: str
    expires_at: str


class ConfirmAsked(_Event, frozen=True, kw_only=True, tag="confirm"):
    """A device asks to join: answer with `PAIR_ANSWER` after the person compared the six digits."""

    name: str
    platform: str
    sas: str


class Paired(_Event, frozen=True, kw_only=True, tag="paired"):
    """The device belongs to the realm now."""

    device_id: str
    name: str


PairEvent = CodeShown | ConfirmAsked | Paired


class PairAnswerRequest(_Request, frozen=True, kw_only=True):
    """The person's answer to the six digits."""

    accept: bool


class PairAnswered(_Response, frozen=True, kw_only=True):
    """The answer was taken."""

    accepted: bool


class EventsRequest(_Request, frozen=True, kw_only=True):
    """Follow what happens on the running node."""


class RowsChanged(_Event, frozen=True, kw_only=True, tag="changed"):
    """Rows changed, here (`local`) or on another device; counts by table."""

    local: bool
    changes_by_table: dict[str, int]


class PeerChanged(_Event, frozen=True, kw_only=True, tag="peer"):
    """A link to another device changed."""

    device_id: str
    name: str
    connected: bool
    in_sync: bool
    why: str


class Notice(_Event, frozen=True, kw_only=True, tag="notice"):
    """Something that a person should know, in one sentence."""

    text: str


NodeEvent = RowsChanged | PeerChanged | Notice


STATUS = Operation("status", StatusRequest, StatusReport)
DEVICES = Operation("devices", DevicesRequest, DeviceList)
REMEMBER = Operation("remember", RememberRequest, Remembered)
RECALL = Operation("recall", RecallRequest, Recalled)
LIST = Operation("list", ListRequest, MemoryList)
SHOW = Operation("show", ShowRequest, Shown)
EDIT = Operation("edit", EditRequest, Edited)
FORGET = Operation("forget", ForgetRequest, Forgotten)
SQL = Operation("sql", SqlRequest, SqlResult)
PAIR_ANSWER = Operation("pair_answer", PairAnswerRequest, PairAnswered)

IMPORT: StreamOperation[ImportRequest, ImportEvent] = StreamOperation(
    "import", ImportRequest, msgspec.json.Decoder(ImportEvent)
)
EXPORT: StreamOperation[ExportRequest, ExportLine] = StreamOperation(
    "export", ExportRequest, msgspec.json.Decoder(ExportLine)
)
PAIR: StreamOperation[PairRequest, PairEvent] = StreamOperation("pair", PairRequest, msgspec.json.Decoder(PairEvent))
EVENTS: StreamOperation[EventsRequest, NodeEvent] = StreamOperation(
    "events", EventsRequest, msgspec.json.Decoder(NodeEvent)
)
