"""Versions of one cell that were written apart: showing both, choosing, and taking a choice back."""

from node.requests.operation import Operation, Request, Response


class ConflictVersion(Response, frozen=True, kw_only=True):
    """One of the versions: what it says, and which device wrote it when."""

    value: object
    device: str
    device_id: str
    at: str


class ConflictReport(Response, frozen=True, kw_only=True):
    """A version that is not shown beside the one that is.

    `state` is open; settled (someone who had seen both wrote anew); resolved (a person chose: `choice` is shown, other
    or text); or reopened (the choice was taken back). `label` is a text by which the record is recognised.
    """

    key: str
    id: str
    table: str
    column: str
    label: str | None
    state: str
    choice: str | None
    shown: ConflictVersion
    other: ConflictVersion
    done_by: str | None
    done_at: str | None


class ConflictsRequest(Request, frozen=True, kw_only=True):
    """List open conflicts, or all that are kept, newest first."""

    everything: bool = False
    limit: int = 50


class NameClashReport(Response, frozen=True, kw_only=True):
    """Records that came to bear one name while devices were apart; a look-up gives the first of `ids`."""

    table: str
    name: str
    ids: list[str]


class ConflictList(Response, frozen=True, kw_only=True):
    """Conflicts, newest first; `open` is how many wait in all. `name_clashes` are all there are."""

    open: int
    conflicts: list[ConflictReport]
    name_clashes: list[NameClashReport]


class ConflictRequest(Request, frozen=True, kw_only=True):
    """Show one conflict; the first digits of its key suffice."""

    key: str


class ResolveRequest(Request, frozen=True, kw_only=True):
    """Choose: `keep` is shown or other, or else `text` is written."""

    key: str
    keep: str | None = None
    text: str | None = None


class Resolved(Response, frozen=True, kw_only=True):
    """What stands now."""

    key: str
    id: str
    table: str
    column: str
    value: object


class ReopenRequest(Request, frozen=True, kw_only=True):
    """Take a choice back."""

    key: str


class Reopened(Response, frozen=True, kw_only=True):
    """The conflict is open again; `restored` says whether the value that the choice replaced was put back."""

    key: str
    id: str
    restored: bool


CONFLICTS = Operation("conflicts", ConflictsRequest, ConflictList)
CONFLICT = Operation("conflict", ConflictRequest, ConflictReport)
RESOLVE = Operation("resolve", ResolveRequest, Resolved)
REOPEN = Operation("reopen", ReopenRequest, Reopened)
