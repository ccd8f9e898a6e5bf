"""The tables of conversations, their messages and what is attached to them.

How the strategies were chosen:

- What says what a row *is* (`conversation_id`, `role`, `speaker`, `created_at`, an attachment's hash) is set once:
  `immutable`. A corrected speaker is a new message, as it is for people.
- What a person or program edits later as a whole (`title`, `sentiment` …) is `lww`; a message's `content` is `text`, so
  that corrections made apart are all kept; `settings` and `metadata` are each a `document`, merged key by key.
- Totals that devices add to while apart are `counter`: both additions count. They are totals of what was *spent*,
  so forgetting a message does not lower them, and they cannot be derived from the messages that are left.
- `updated_at` is `max`: touching a conversation on two devices leaves the later instant, whatever the order.
- `tags` is an observed-remove `set`.

Money is an integer count of millionths of a unit of currency, because sums of floating-point numbers depend on the
order in which replicas add them. `messages` is kept narrow: it is the table whose replication is measured, so its
text is plain, rich parts live in `metadata`, files in `message_attachments`, and counts are derived by queries.
An instant is ISO-8601 text in UTC with milliseconds. No default depends on the time or the device: a row that
arrives in part must look the same everywhere.

`project_id` names a row of another stream. It is no declared reference: a device may hold the conversation and
not the project, so readers join it from the left, and deleting a project clears it where the rows are known.
"""

from node.store.schema import Column, Component, Reference, Table
from sync.streams import Stream

_CONVERSATIONS = Table(
    name="conversations",
    stream=Stream.CONVERSATIONS,
    columns=(
        Column(name="namespace", type="TEXT", strategy="lww", default="'default'"),
        Column(name="title", type="TEXT", strategy="lww", default="''"),
        Column(name="project_id", type="BLOB", strategy="lww"),
        Column(name="provider", type="TEXT", strategy="lww"),
        Column(name="model", type="TEXT", strategy="lww"),
        # 'active' or 'archived'; deletion is the row's own life, not a status.
        Column(name="status", type="TEXT", strategy="lww", default="'active'"),
        Column(name="summary", type="TEXT", strategy="lww"),
        Column(name="tags", type="TEXT", strategy="set", default="'[]'"),
        Column(name="total_tokens", type="INTEGER", strategy="counter", default="0"),
        Column(name="total_cost_millionths", type="INTEGER", strategy="counter", default="0"),
        Column(name="settings", type="TEXT", strategy="document", default="'{}'"),
        Column(name="metadata", type="TEXT", strategy="document", default="'{}'"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
        Column(name="updated_at", type="TEXT", strategy="max"),
    ),
    indexes=(
        "CREATE INDEX conversations_by_update ON conversations (updated_at)",
        "CREATE INDEX conversations_by_project ON conversations (project_id) WHERE project_id IS NOT NULL",
    ),
)

_MESSAGES = Table(
    name="messages",
    stream=Stream.CONVERSATIONS,
    columns=(
        Column(name="conversation_id", type="BLOB", strategy="immutable"),
        Column(name="parent_id", type="BLOB", strategy="lww"),
        # user, assistant, system or tool.
        Column(name="role", type="TEXT", strategy="immutable", default="'user'"),
        # Whose turn it is where a role does not say it: several people, several assistants.
        Column(name="speaker", type="TEXT", strategy="immutable"),
        Column(name="content", type="TEXT", strategy="text", default="''"),
        Column(name="tokens", type="INTEGER", strategy="lww"),
        Column(name="cost_millionths", type="INTEGER", strategy="lww"),
        # From -1 (dark) to 1 (bright), as whoever measured it last judged.
        Column(name="sentiment", type="REAL", strategy="lww"),
        Column(name="response_milliseconds", type="INTEGER", strategy="lww"),
        Column(name="tool_calls", type="TEXT", strategy="lww"),
        Column(name="tool_results", type="TEXT", strategy="lww"),
        # NULL means {}: most messages have none, and an absent cell costs nothing on the wire.
        Column(name="metadata", type="TEXT", strategy="document"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
    ),
    references=(
        Reference(column="conversation_id", table="conversations", on_delete="cascade"),
        Reference(column="parent_id", table="messages", on_delete="reparent"),
    ),
    # Two indexes only: each one costs a random write a message.
    indexes=(
        "CREATE INDEX messages_by_conversation ON messages (conversation_id, created_at)",
        "CREATE INDEX messages_by_parent ON messages (parent_id) WHERE parent_id IS NOT NULL",
    ),
    # Questions name people: with the speaker searched, recall@10 rises from 0.62 to 0.63 on LoCoMo.
    full_text=("content", "speaker"),
)

_ATTACHMENTS = Table(
    name="message_attachments",
    stream=Stream.CONVERSATIONS,
    columns=(
        Column(name="message_id", type="BLOB", strategy="immutable"),
        # file, image, code or diff.
        Column(name="kind", type="TEXT", strategy="immutable", default="'file'"),
        Column(name="name", type="TEXT", strategy="lww"),
        Column(name="path", type="TEXT", strategy="lww"),
        Column(name="mime_type", type="TEXT", strategy="lww"),
        Column(name="content_hash", type="BLOB", strategy="immutable"),
        Column(name="size_bytes", type="INTEGER", strategy="immutable"),
        Column(name="caption", type="TEXT", strategy="lww"),
        Column(name="metadata", type="TEXT", strategy="document"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
    ),
    references=(Reference(column="message_id", table="messages", on_delete="cascade"),),
    indexes=("CREATE INDEX message_attachments_by_message ON message_attachments (message_id)",),
)

CONVERSATIONS = Component(
    name="conversations",
    version=1,
    kind="core",
    priority=20,
    tables=(_CONVERSATIONS, _MESSAGES, _ATTACHMENTS),
)
