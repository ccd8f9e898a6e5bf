"""A small component for tests of cells that merge from within: texts, documents and least values."""

from node.store.schema import Column, Component, Table
from sync.streams import Stream

_PAGES = Table(
    name="diary_pages",
    stream=Stream.MEMORIES,
    columns=(
        Column(name="title", type="TEXT", strategy="lww", default="''"),
        Column(name="body", type="TEXT", strategy="text", default="''"),
        Column(name="margin", type="TEXT", strategy="text", default="''"),
        Column(name="settings", type="TEXT", strategy="document", default="'{}'"),
        Column(name="weather", type="TEXT", strategy="document"),
        Column(name="begun_at", type="TEXT", strategy="min"),
        Column(name="lowest", type="INTEGER", strategy="min"),
        Column(name="tags", type="TEXT", strategy="set", default="'[]'"),
    ),
    full_text=("title", "body"),
)

DIARY = Component(name="diary", version=1, kind="plugin", priority=100, tables=(_PAGES,))
