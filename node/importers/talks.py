"""Makes rows of a conversation with an assistant, whichever program it comes from.

A talk is a tree: whoever edits a question or asks for another answer opens a branch. Each turn keeps the turn that it
answers (`parent_id`), and `metadata.current_message` of the conversation names the turn at whose end the person last
was, which makes the current branch: that turn and what it answers, up to the first. Turns that say nothing (programs
put such at the root) are not kept; what answers them answers the turn before.

Ids are made of the ids that the other program gave, so every export of one talk, however long it has become by then,
is the same conversation on all devices.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from crdt.identifiers import RowId, row_id_to_text
from node.importers.plan import Continuation, ImportedRecord, ImportedRow, LeftOut, content_row_id, row_problem
from node.importers.transactions import ROW_BYTES_MAX, row_size_bytes
from node.repositories.ports import SqlValue
from node.repositories.values import instant_text, strings_to_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A file or picture that came with a turn; `size_bytes` where it is known."""

    kind: str
    name: str | None = None
    path: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    caption: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn; `parent` is the other program's id of the turn that it answers.

    `metadata.content` and `metadata.thinking` are what the other program said beside its text.
    """

    source_id: str
    parent: str | None
    role: str
    content: str
    at_milliseconds: int | None = None
    speaker: str | None = None
    tool_calls: Sequence[object] = ()
    tool_results: Sequence[object] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    enclosures: tuple[Enclosure, ...] = ()

    def says_something(self) -> bool:
        """Tell whether there is anything in it to keep."""
        said = self.content.strip() or self.tool_calls or self.tool_results or self.enclosures
        return bool(said or "content" in self.metadata or "thinking" in self.metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One conversation; `current` is the id of the turn at whose end the person was."""

    source: str
    source_id: str
    title: str
    provider: str
    turns: Sequence[Turn]
    current: str | None
    created_milliseconds: int | None
    updated_milliseconds: int | None = None
    model: str | None = None
    archived: bool = False
    summary: str | None = None
    project_id: RowId | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


def record_of(talk: Talk, place: str) -> tuple[ImportedRecord | None, list[LeftOut]]:
    """Return the rows of a talk, None if nothing was said in it, and what of it cannot be kept."""
    began = talk.created_milliseconds
    if began is None:
        began = min((turn.at_milliseconds for turn in talk.turns if turn.at_milliseconds is not None), default=0)
    conversation_id = content_row_id(began, "conversation", talk.source, talk.source_id)
    writing = _Writing(conversation_id=conversation_id, source=talk.source, began=began, place=place)
    for turn in ancestors_first(talk.turns):
        writing.take(turn)
    if not writing.rows:
        return None, writing.left_out
    current = writing.kept_by_source_id.get(talk.current) if talk.current is not None else None
    conversation = _conversation(talk, conversation_id, began, current)
    if (problem := row_problem(conversation)) is not None:
        return None, [LeftOut(place=place, problem=problem, content=b"")]
    updated_at = conversation.cells["updated_at"]
    continuation = Continuation(
        conversation_id=conversation_id,
        updated_at=updated_at if isinstance(updated_at, str) else None,
        current_message=None if current is None else row_id_to_text(current),
    )
    return ImportedRecord(rows=(conversation, *writing.rows), continuation=continuation), writing.left_out


def ancestors_first(turns: Sequence[Turn]) -> Iterator[Turn]:
    """Return the turns so that each comes after the one that it answers; of a circle, one turn answers nothing."""
    turn_by_id = {turn.source_id: turn for turn in turns}
    told: set[str] = set()
    for turn in turn_by_id.values():
        chain: dict[str, Turn] = {}
        step: Turn | None = turn
        while step is not None and step.source_id not in told and step.source_id not in chain:
            chain[step.source_id] = step
            step = turn_by_id.get(step.parent) if step.parent is not None else None
        for place, link in enumerate(reversed(chain.values())):
            closes_circle = place == 0 and link.parent in chain
            yield replace(link, parent=None) if closes_circle else link
        told.update(chain)


def _conversation(talk: Talk, conversation_id: RowId, began: int, current: RowId | None) -> ImportedRow:
    metadata = {**talk.metadata, "source": talk.source, "source_id": talk.source_id}
    if current is not None:
        metadata["current_message"] = row_id_to_text(current)
    cells: dict[str, SqlValue] = {
        "title": talk.title,
        "project_id": talk.project_id,
        "provider": talk.provider,
        "model": talk.model,
        "status": "archived" if talk.archived else "active",
        "summary": talk.summary,
        "tags": strings_to_json((talk.source,)),
        "metadata": to_json(metadata),
        "created_at": instant_text(began),
        "updated_at": instant_text(began if talk.updated_milliseconds is None else talk.updated_milliseconds),
    }
    return ImportedRow(table="conversations", id=conversation_id, cells=cells)


@dataclass(slots=True, kw_only=True)
class _Writing:
    """The rows of one talk as its turns come, ancestors first."""

    conversation_id: RowId
    source: str
    began: int
    place: str
    rows: list[ImportedRow] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    #: For every turn the row that stands for it: its own, or that of the nearest turn before which was kept.
    kept_by_source_id: dict[str, RowId] = field(default_factory=dict)
    _at_by_source_id: dict[str, int] = field(default_factory=dict)
    _depth_by_source_id: dict[str, int] = field(default_factory=dict)

    def take(self, turn: Turn) -> None:
        before = self.kept_by_source_id.get(turn.parent) if turn.parent is not None else None
        at = turn.at_milliseconds
        if at is None:
            # A turn without a time of its own is as old as the one that it answers.
            at = self._at_by_source_id.get(turn.parent, self.began) if turn.parent is not None else self.began
        self._at_by_source_id[turn.source_id] = at
        # Of turns of one instant the answer comes after the question.
        depth = 1 + self._depth_by_source_id.get(turn.parent, 0) if turn.parent is not None else 0
        self._depth_by_source_id[turn.source_id] = depth
        if turn.says_something():
            row = self._message(turn, before, at, depth)
            if self._keeps(row, f"{self.place}, message {turn.source_id}", turn.content):
                before = row.id
                for number, enclosure in enumerate(turn.enclosures):
                    attachment = _attachment(enclosure, row.id, number, at)
                    what = f"{self.place}, attachment {number + 1} of message {turn.source_id}"
                    self._keeps(attachment, what, to_json(enclosure.metadata))
        if before is not None:
            self.kept_by_source_id[turn.source_id] = before

    def _keeps(self, row: ImportedRow, place: str, content: str) -> bool:
        problem = row_problem(row)
        if problem is None and row_size_bytes(row) > ROW_BYTES_MAX:
            problem = f"takes more than {ROW_BYTES_MAX // 2**20} MiB"
        if problem is not None:
            self.left_out.append(LeftOut(place=place, problem=problem, content=content.encode()))
            return False
        self.rows.append(row)
        return True

    def _message(self, turn: Turn, parent_id: RowId | None, at: int, depth: int) -> ImportedRow:
        cells: dict[str, SqlValue] = {
            "conversation_id": self.conversation_id,
            "parent_id": parent_id,
            "role": turn.role,
            "speaker": turn.speaker,
            "content": turn.content,
            "tool_calls": to_json(list(turn.tool_calls)) if turn.tool_calls else None,
            "tool_results": to_json(list(turn.tool_results)) if turn.tool_results else None,
            "metadata": to_json(turn.metadata) if turn.metadata else None,
            "created_at": instant_text(at),
        }
        parts = ("message", self.source, self.conversation_id.hex(), turn.source_id)
        return ImportedRow(table="messages", id=content_row_id(at, *parts, order=depth), cells=cells)


def _attachment(enclosure: Enclosure, message_id: RowId, number: int, at: int) -> ImportedRow:
    cells: dict[str, SqlValue] = {
        "message_id": message_id,
        "kind": enclosure.kind,
        "name": enclosure.name,
        "path": enclosure.path,
        "mime_type": enclosure.mime_type,
        "size_bytes": enclosure.size_bytes,
        "caption": enclosure.caption,
        "metadata": to_json(enclosure.metadata) if enclosure.metadata else None,
        "created_at": instant_text(at),
    }
    row_id = content_row_id(at, "attachment", message_id.hex(), str(number), order=number)
    return ImportedRow(table="message_attachments", id=row_id, cells=cells)
