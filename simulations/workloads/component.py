"""A small component whose tables use every strategy, every referential action and every kind of key together."""

from node.store.schema import Column, Component, Reference, Table
from sync.streams import Stream

_FOLDERS = Table(
    name="drill_folders",
    stream=Stream.FILES,
    columns=(
        Column(name="name", type="TEXT", strategy="lww", default="''"),
        Column(name="parent_id", type="BLOB", strategy="lww"),
        Column(name="colour", type="TEXT", strategy="lww"),
    ),
    references=(Reference(column="parent_id", table="drill_folders", on_delete="reparent"),),
)

_ITEMS = Table(
    name="drill_items",
    stream=Stream.FILES,
    columns=(
        Column(name="kind", type="TEXT", strategy="immutable", default="'plain'"),
        Column(name="parent_id", type="BLOB", strategy="lww"),
        Column(name="pinned_id", type="BLOB", strategy="lww"),
        Column(name="title", type="TEXT", strategy="lww", default="''"),
        Column(name="body", type="TEXT", strategy="lww"),
        Column(name="rating", type="REAL", strategy="lww"),
        Column(name="size", type="INTEGER", strategy="lww"),
        Column(name="payload", type="BLOB", strategy="lww"),
        Column(name="tags", type="TEXT", strategy="set", default="'[]'"),
        Column(name="uses", type="INTEGER", strategy="counter", default="0"),
        Column(name="best", type="REAL", strategy="max"),
        Column(name="seen_at", type="TEXT", strategy="max"),
    ),
    references=(
        Reference(column="parent_id", table="drill_folders", on_delete="set_null"),
        Reference(column="pinned_id", table="drill_items", on_delete="set_null"),
    ),
    indexes=("CREATE INDEX drill_items_by_parent ON drill_items (parent_id)",),
    full_text=("title", "body"),
)

_COMMENTS = Table(
    name="drill_comments",
    stream=Stream.FILES,
    columns=(
        Column(name="item_id", type="BLOB", strategy="immutable"),
        Column(name="reply_to_id", type="BLOB", strategy="lww"),
        Column(name="text", type="TEXT", strategy="lww", default="''"),
        Column(name="likes", type="INTEGER", strategy="counter", default="0"),
    ),
    references=(
        Reference(column="item_id", table="drill_items", on_delete="cascade"),
        Reference(column="reply_to_id", table="drill_comments", on_delete="reparent"),
    ),
    full_text=("text",),
)

_REACTIONS = Table(
    name="drill_reactions",
    stream=Stream.FILES,
    columns=(
        Column(name="comment_id", type="BLOB", strategy="immutable"),
        Column(name="face", type="TEXT", strategy="lww", default="''"),
    ),
    references=(Reference(column="comment_id", table="drill_comments", on_delete="cascade"),),
)

_SETTINGS = Table(
    name="drill_settings",
    stream=Stream.ANALYTICS,
    columns=(
        Column(name="key", type="TEXT", strategy="immutable", default="''"),
        Column(name="value", type="TEXT", strategy="lww"),
        Column(name="origin", type="TEXT", strategy="immutable"),
        Column(name="labels", type="TEXT", strategy="set", default="'[]'"),
        Column(name="changes", type="INTEGER", strategy="counter", default="0"),
        Column(name="latest", type="INTEGER", strategy="max"),
    ),
    natural_key="key",
)

_NOTES = Table(
    name="drill_notes",
    stream=Stream.MEDIA,
    columns=(
        Column(name="title", type="TEXT", strategy="lww", default="''"),
        Column(name="key", type="TEXT", strategy="immutable", default="''"),
        Column(name="body", type="TEXT", strategy="text", default="''"),
        Column(name="margin", type="TEXT", strategy="text", default="''"),
        Column(name="settings", type="TEXT", strategy="document", default="'{}'"),
        Column(name="weather", type="TEXT", strategy="document"),
        Column(name="first_seen_at", type="TEXT", strategy="min"),
        Column(name="lowest", type="INTEGER", strategy="min"),
    ),
    full_text=("title",),
    # Few keys, so that devices insert the same row apart, each with texts and documents of its own.
    natural_key="key",
)

DRILL = Component(
    name="drill",
    version=1,
    kind="plugin",
    priority=100,
    tables=(_FOLDERS, _ITEMS, _COMMENTS, _REACTIONS, _SETTINGS, _NOTES),
)
