"""The table of preferences: settings of the person, of an application, and the state of the system that is shared.

A preference is one value under a scope and a key ('person' / 'language', 'app:editor' / 'theme', 'system' / …). Its id
is made from both, so two devices that set the same preference apart create one row, and the greater stamp wins
(`lww`), as a person expects of settings. Scope and key never change; setting is an upsert, unsetting a deletion.

A value is JSON of any kind. State that belongs to one device alone does not belong here: this table is replicated.
"""

from node.store.schema import Column, Component, Table
from sync.streams import Stream

_PREFERENCES = Table(
    name="preferences",
    stream=Stream.PROFILE,
    columns=(
        Column(name="scope", type="TEXT", strategy="immutable", default="'person'"),
        Column(name="key", type="TEXT", strategy="immutable", default="''"),
        Column(name="value", type="TEXT", strategy="lww", default="'null'"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
        Column(name="updated_at", type="TEXT", strategy="max"),
    ),
    indexes=("CREATE INDEX preferences_by_key ON preferences (scope, key)",),
    natural_key="scope, key",
)

PREFERENCES = Component(name="preferences", version=1, kind="core", priority=10, tables=(_PREFERENCES,))
