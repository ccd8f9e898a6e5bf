"""Remembering, searching, listing, showing, editing and forgetting."""

import msgspec

from node.requests.operation import Operation, Request, Response


class RememberRequest(Request, frozen=True, kw_only=True):
    """Keep a text."""

    text: str
    namespace: str = "default"
    tags: list[str] = msgspec.field(default_factory=list)


class Remembered(Response, frozen=True, kw_only=True):
    """The id of the new memory."""

    id: str


class RecallRequest(Request, frozen=True, kw_only=True):
    """Search memories and messages; any text is a valid query."""

    query: str
    limit: int = 10


class RecallResult(Response, frozen=True, kw_only=True):
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


class Recalled(Response, frozen=True, kw_only=True):
    """The best hits, best first."""

    results: list[RecallResult]


class ListRequest(Request, frozen=True, kw_only=True):
    """List memories, newest first."""

    namespace: str | None = None
    limit: int = 50


class MemoryReport(Response, frozen=True, kw_only=True):
    """A memory."""

    id: str
    text: str
    namespace: str
    tags: list[str]
    created_at: str | None
    updated_at: str | None


class MemoryList(Response, frozen=True, kw_only=True):
    """Memories, newest first."""

    memories: list[MemoryReport]


class ShowRequest(Request, frozen=True, kw_only=True):
    """Show one record, whatever its table."""

    id: str


class Shown(Response, frozen=True, kw_only=True):
    """A record with all its columns; bytes appear as `{"$base64": …}`. An edit may name the `version` that it is of."""

    id: str
    table: str
    fields: dict[str, object]
    version: str


class EditRequest(Request, frozen=True, kw_only=True):
    """Give a memory or message a new text; one that was made of version `base` keeps what came since."""

    id: str
    text: str
    base: str | None = None


class Edited(Response, frozen=True, kw_only=True):
    """The id of what was changed."""

    id: str


class ForgetRequest(Request, frozen=True, kw_only=True):
    """Delete a record for good, on every device; a dry run only says what would go."""

    id: str
    dry_run: bool = False


class Forgotten(Response, frozen=True, kw_only=True):
    """What was forgotten, or would be: records by table, remembered changes of them, and losing versions."""

    id: str
    table: str
    dry_run: bool = False
    rows_by_table: dict[str, int] = msgspec.field(default_factory=dict)
    changes: int = 0
    conflicts: int = 0


REMEMBER = Operation("remember", RememberRequest, Remembered)
RECALL = Operation("recall", RecallRequest, Recalled)
LIST = Operation("list", ListRequest, MemoryList)
SHOW = Operation("show", ShowRequest, Shown)
EDIT = Operation("edit", EditRequest, Edited)
FORGET = Operation("forget", ForgetRequest, Forgotten)
