"""The table of memories: what the person or an assistant chose to keep.

How the strategies were chosen: whatever is edited as a whole (`namespace`, `kind`, `title`, `importance`, `status`,
links) is `lww`; `content` is `text`, merged character by character, `metadata` a `document`, merged key by
key; where the memory came from and when (`source`, `source_message_id`, `created_at`) is `immutable`; `tags` is an
observed-remove `set`, so tags added apart are all kept; `use_count` is a `counter` and `last_used_at`, `updated_at`
are `max`, so that devices apart neither lose nor double a use.

Searching writes nothing: a use is counted only when an assistant reports that it used a memory.

`project_id`, `person_id` and `source_message_id` name rows of other streams, which this device may not hold; they are
read with a left join and never checked.
"""

from node.store.schema import Column, Component, Table
from sync.streams import Stream

_MEMORIES = Table(
    name="memories",
    stream=Stream.MEMORIES,
    columns=(
        Column(name="namespace", type="TEXT", strategy="lww", default="'default'"),
        # fact, preference, skill, rule, context, note, insight, event, or an application's own word.
        Column(name="kind", type="TEXT", strategy="lww", default="'fact'"),
        Column(name="title", type="TEXT", strategy="lww"),
        Column(name="content", type="TEXT", strategy="text", default="''"),
        # From 1 to 10.
        Column(name="importance", type="INTEGER", strategy="lww", default="5"),
        Column(name="tags", type="TEXT", strategy="set", default="'[]'"),
        Column(name="metadata", type="TEXT", strategy="document", default="'{}'"),
        # person, assistant, import, or an application's name.
        Column(name="source", type="TEXT", strategy="immutable"),
        Column(name="source_message_id", type="BLOB", strategy="immutable"),
        Column(name="project_id", type="BLOB", strategy="lww"),
        Column(name="person_id", type="BLOB", strategy="lww"),
        # 'active' or 'archived' (kept, and left out of recall).
        Column(name="status", type="TEXT", strategy="lww", default="'active'"),
        Column(name="use_count", type="INTEGER", strategy="counter", default="0"),
        Column(name="last_used_at", type="TEXT", strategy="max"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
        Column(name="updated_at", type="TEXT", strategy="max"),
    ),
    indexes=(
        "CREATE INDEX memories_by_namespace ON memories (namespace, created_at)",
        "CREATE INDEX memories_by_project ON memories (project_id) WHERE project_id IS NOT NULL",
        "CREATE INDEX memories_by_person ON memories (person_id) WHERE person_id IS NOT NULL",
    ),
    full_text=("title", "content"),
)

MEMORIES = Component(name="memories", version=1, kind="core", priority=30, tables=(_MEMORIES,))
