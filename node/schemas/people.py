"""The tables of the people in the person's life and how they are related to each other.

How the strategies were chosen: a description is edited as a whole, so `lww`, and `notes` are `text`; `aliases` is a
`set`; `last_contact_at` and `updated_at` are `max`; the two ends and the kind of a relationship say which
relationship it is, so they are `immutable`, and a changed kind is a new relationship. Deleting a person deletes the
relationships at both ends.

The person who owns the store is the row whose `is_self` is 1. These tables travel in the profile stream, which is
sent first: an assistant that arrives on a new device should know whom it talks to before anything else.
"""

from node.store.schema import Column, Component, Reference, Table
from sync.streams import Stream

_PEOPLE = Table(
    name="people",
    stream=Stream.PROFILE,
    columns=(
        Column(name="name", type="TEXT", strategy="lww", default="''"),
        Column(name="is_self", type="INTEGER", strategy="lww", default="0"),
        Column(name="aliases", type="TEXT", strategy="set", default="'[]'"),
        # What this person is to the owner: mother, friend, colleague …
        Column(name="relation", type="TEXT", strategy="lww"),
        Column(name="pronouns", type="TEXT", strategy="lww"),
        # A date; the year may be unknown ('--05-21', ISO 8601 truncated form).
        Column(name="birthday", type="TEXT", strategy="lww"),
        Column(name="notes", type="TEXT", strategy="text", default="''"),
        # From 0 (a stranger) to 1 (the closest), as last judged.
        Column(name="closeness", type="REAL", strategy="lww"),
        Column(name="metadata", type="TEXT", strategy="document", default="'{}'"),
        Column(name="last_contact_at", type="TEXT", strategy="max"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
        Column(name="updated_at", type="TEXT", strategy="max"),
    ),
)

_RELATIONSHIPS = Table(
    name="relationships",
    stream=Stream.PROFILE,
    columns=(
        Column(name="person_id", type="BLOB", strategy="immutable"),
        Column(name="other_person_id", type="BLOB", strategy="immutable"),
        # Read as "person is KIND of other person": parent, partner, colleague …
        Column(name="kind", type="TEXT", strategy="immutable", default="'knows'"),
        Column(name="notes", type="TEXT", strategy="text", default="''"),
        Column(name="since", type="TEXT", strategy="lww"),
        Column(name="ended_at", type="TEXT", strategy="lww"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
        Column(name="updated_at", type="TEXT", strategy="max"),
    ),
    references=(
        Reference(column="person_id", table="people", on_delete="cascade"),
        Reference(column="other_person_id", table="people", on_delete="cascade"),
    ),
    indexes=(
        "CREATE INDEX relationships_by_person ON relationships (person_id)",
        "CREATE INDEX relationships_by_other_person ON relationships (other_person_id)",
    ),
    # An edge between two people exists once, whichever device drew it first.
    natural_key="person_id, other_person_id, kind",
)

PEOPLE = Component(name="people", version=1, kind="core", priority=15, tables=(_PEOPLE, _RELATIONSHIPS))
