"""Conversations and their turns: writing, reading in order and as threads, editing and forgetting."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from crdt.identifiers import RowId
from node.clock import Clock
from node.errors import UsageError
from node.repositories.conversation_records import (
    ATTACHMENT_COLUMNS,
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    Attachment,
    Conversation,
    ConversationEdit,
    ConversationSummary,
    Message,
    MessageEdit,
    NewAttachment,
    NewConversation,
    NewMessage,
    read_attachment,
    read_conversation,
    read_message,
)
from node.repositories.ports import Database, SqlRow, SqlValue, WriteTransaction
from node.repositories.rows import delete_row, given_cells, insert_row, update_changed
from node.repositories.values import (
    now_text,
    read_integer,
    read_text,
    read_text_or_none,
    strings_to_json,
    to_json,
)

#: What a list shows of the last turn.
PREVIEW_CHARACTERS = 100

_ROLES = ("user", "assistant", "system", "tool")
_MESSAGE_COLUMNS_WRITTEN = (
    "id",
    "conversation_id",
    "parent_id",
    "role",
    "speaker",
    "content",
    "tokens",
    "cost_millionths",
    "sentiment",
    "response_milliseconds",
    "tool_calls",
    "tool_results",
    "metadata",
    "created_at",
)


class Conversations:
    """The conversations of one store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, new: NewConversation) -> RowId:
        """Begin a conversation and return its id."""
        row_id = self._database.new_row_id()
        now = now_text(self._clock)
        cells: dict[str, SqlValue] = {
            "id": row_id,
            "namespace": new.namespace,
            "title": new.title,
            "project_id": new.project_id,
            "provider": new.provider,
            "model": new.model,
            "tags": strings_to_json(new.tags),
            "settings": to_json(new.settings),
            "metadata": to_json(new.metadata),
            "created_at": now,
            "updated_at": now,
        }
        with self._database.transaction() as transaction:
            insert_row(transaction, "conversations", cells)
        return row_id

    def get(self, row_id: RowId) -> Conversation | None:
        """Return a conversation, or None if there is none of this id."""
        rows = self._database.query(f"SELECT {CONVERSATION_COLUMNS} FROM conversations WHERE id = ?", (row_id,))
        self._database.require_whole("conversations", [row_id] if rows else [])
        return read_conversation(rows[0]) if rows else None

    def recent(
        self, *, project_id: RowId | None = None, namespace: str | None = None, limit: int = 50, offset: int = 0
    ) -> list[ConversationSummary]:
        """Return conversations with their number of turns and last turn, the most recently touched first."""
        rows = self._database.query(
            f"SELECT {CONVERSATION_COLUMNS},"
            " (SELECT count(*) FROM messages m WHERE m.conversation_id = conversations.id),"
            " (SELECT max(m.created_at) FROM messages m WHERE m.conversation_id = conversations.id),"
            " (SELECT substr(m.content, 1, ?) FROM messages m WHERE m.conversation_id = conversations.id"
            "  ORDER BY m.created_at DESC, m.id DESC LIMIT 1)"
            " FROM conversations WHERE (? IS NULL OR project_id = ?) AND (? IS NULL OR namespace = ?)"
            " ORDER BY updated_at DESC, id DESC LIMIT ? OFFSET ?",
            (PREVIEW_CHARACTERS, project_id, project_id, namespace, namespace, limit, offset),
        )
        return [
            ConversationSummary(
                conversation=read_conversation(row[:-3]),
                message_count=read_integer(row[-3]),
                last_message_at=read_text_or_none(row[-2]),
                preview=read_text_or_none(row[-1]) or "",
            )
            for row in rows
        ]

    def edit(self, row_id: RowId, edit: ConversationEdit) -> bool:
        """Change the given fields; return whether the conversation exists."""
        cells = given_cells(
            (
                ("namespace", edit.namespace),
                ("title", edit.title),
                ("project_id", edit.project_id),
                ("provider", edit.provider),
                ("model", edit.model),
                ("status", edit.status),
                ("summary", edit.summary),
                ("tags", UNSET if isinstance(edit.tags, UnsetType) else strings_to_json(edit.tags)),
                ("settings", UNSET if isinstance(edit.settings, UnsetType) else to_json(edit.settings)),
                ("metadata", UNSET if isinstance(edit.metadata, UnsetType) else to_json(edit.metadata)),
            )
        )
        with self._database.transaction() as transaction:
            return update_changed(transaction, "conversations", row_id, cells, updated_at=now_text(self._clock))

    def forget(self, row_id: RowId) -> bool:
        """Delete a conversation with its turns and their attachments on every device; return whether it existed."""
        with self._database.transaction() as transaction:
            return delete_row(transaction, "conversations", row_id)

    def add_messages(self, conversation_id: RowId, new_messages: Sequence[NewMessage]) -> list[RowId]:
        """Add turns in order, touch the conversation and add to its totals; return the turns' ids.

        Raises UsageError if there is no such conversation or a role is none of user, assistant, system, tool.
        """
        for new in new_messages:
            if new.role not in _ROLES:
                raise UsageError(f"A turn's role is one of {', '.join(_ROLES)}; {new.role!r} was given.")
        row_ids = [self._database.new_row_id() for _ in new_messages]
        now = now_text(self._clock)
        rows = [
            _message_cells(row_id, conversation_id, new, now) for row_id, new in zip(row_ids, new_messages, strict=True)
        ]
        with self._database.transaction() as transaction:
            _require_conversation(transaction, conversation_id)
            transaction.insert_rows("messages", _MESSAGE_COLUMNS_WRITTEN, rows)
            _touch(transaction, conversation_id, now, new_messages)
        return row_ids

    def message(self, row_id: RowId) -> Message | None:
        """Return one turn, or None if there is none of this id."""
        rows = self._database.query(f"SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.id = ?", (row_id,))
        self._database.require_whole("messages", [row_id] if rows else [])
        return read_message(rows[0]) if rows else None

    def messages(self, conversation_id: RowId, *, limit: int = 1_000, offset: int = 0) -> list[Message]:
        """Return the turns of a conversation in the order of time."""
        rows = self._database.query(
            f"SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.conversation_id = ?"
            " ORDER BY m.created_at, m.id LIMIT ? OFFSET ?",
            (conversation_id, limit, offset),
        )
        return self._listed(rows)

    def thread(self, row_id: RowId) -> list[Message]:
        """Return a turn and everything that answers it, directly or not, in the order of time."""
        # UNION, not UNION ALL: devices apart can make two turns each other's parents, and that must end.
        rows = self._database.query(
            "WITH RECURSIVE thread(id) AS (SELECT ? UNION"
            " SELECT reply.id FROM thread JOIN messages reply ON reply.parent_id = thread.id)"
            f" SELECT {MESSAGE_COLUMNS} FROM thread JOIN messages m ON m.id = thread.id ORDER BY m.created_at, m.id",
            (row_id,),
        )
        return self._listed(rows)

    def _listed(self, rows: Sequence[SqlRow]) -> list[Message]:
        messages = [read_message(row) for row in rows]
        self._database.note_listed("messages", [message.id for message in messages])
        return messages

    def edit_message(self, row_id: RowId, edit: MessageEdit) -> bool:
        """Change the given fields of a turn; return whether it exists."""
        cells = given_cells(
            (
                ("content", edit.content),
                ("parent_id", edit.parent_id),
                ("tokens", edit.tokens),
                ("cost_millionths", edit.cost_millionths),
                ("sentiment", edit.sentiment),
                ("metadata", UNSET if isinstance(edit.metadata, UnsetType) else to_json(edit.metadata)),
            )
        )
        with self._database.transaction() as transaction:
            return update_changed(transaction, "messages", row_id, cells, updated_at=None)

    def forget_message(self, row_id: RowId) -> bool:
        """Delete a turn on every device; its replies move up to the turn that it answered."""
        with self._database.transaction() as transaction:
            return delete_row(transaction, "messages", row_id)

    def attach(self, message_id: RowId, new: NewAttachment) -> RowId:
        """Attach a file, image, code or diff to a turn; raises UsageError if there is no such turn."""
        row_id = self._database.new_row_id()
        cells: dict[str, SqlValue] = {
            "id": row_id,
            "message_id": message_id,
            "kind": new.kind,
            "name": new.name,
            "path": new.path,
            "mime_type": new.mime_type,
            "content_hash": new.content_hash,
            "size_bytes": new.size_bytes,
            "caption": new.caption,
            "metadata": to_json(new.metadata) if new.metadata else None,
            "created_at": now_text(self._clock),
        }
        with self._database.transaction() as transaction:
            if not transaction.execute("SELECT 1 FROM messages WHERE id = ?", (message_id,)).rows:
                raise UsageError("There is no turn of this id on this device.")
            insert_row(transaction, "message_attachments", cells)
        return row_id

    def attachments(self, message_id: RowId) -> list[Attachment]:
        """Return what is attached to a turn."""
        rows = self._database.query(
            f"SELECT {ATTACHMENT_COLUMNS} FROM message_attachments WHERE message_id = ? ORDER BY created_at, id",
            (message_id,),
        )
        return [read_attachment(row) for row in rows]

    def count_by_role(self, conversation_id: RowId) -> dict[str, int]:
        """Return how many turns each role has in a conversation."""
        rows = self._database.query(
            "SELECT role, count(*) FROM messages WHERE conversation_id = ? GROUP BY role ORDER BY role",
            (conversation_id,),
        )
        return {read_text(role): read_integer(count) for role, count in rows}


def _require_conversation(transaction: WriteTransaction, conversation_id: RowId) -> None:
    if not transaction.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)).rows:
        raise UsageError("There is no conversation of this id on this device.")


def _touch(transaction: WriteTransaction, conversation_id: RowId, now: str, added: Sequence[NewMessage]) -> None:
    """Move the conversation's instant forward and add what the turns cost to its totals."""
    tokens = sum(new.tokens or 0 for new in added)
    cost = sum(new.cost_millionths or 0 for new in added)
    assignments = ["updated_at = max(coalesce(updated_at, ''), ?)"]
    parameters: list[SqlValue] = [now]
    for column, amount in (("total_tokens", tokens), ("total_cost_millionths", cost)):
        if amount:
            # Relative, so that what another device adds meanwhile is not overwritten.
            assignments.append(f"{column} = {column} + ?")
            parameters.append(amount)
    transaction.execute(
        f"UPDATE conversations SET {', '.join(assignments)} WHERE id = ?", (*parameters, conversation_id)
    )


def _message_cells(row_id: RowId, conversation_id: RowId, new: NewMessage, now: str) -> tuple[SqlValue, ...]:
    return (
        row_id,
        conversation_id,
        new.parent_id,
        new.role,
        new.speaker,
        new.content,
        new.tokens,
        new.cost_millionths,
        new.sentiment,
        new.response_milliseconds,
        None if new.tool_calls is None else to_json(new.tool_calls),
        None if new.tool_results is None else to_json(new.tool_results),
        to_json(new.metadata) if new.metadata else None,
        new.created_at or now,
    )
