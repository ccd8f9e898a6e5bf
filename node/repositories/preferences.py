"""Preferences: one JSON value under a scope and a key, the same row on every device that sets it."""

from dataclasses import dataclass

from crdt.identifiers import RowId, natural_row_id
from node.clock import Clock
from node.errors import UsageError
from node.repositories.ports import Database, SqlRow, SqlValue
from node.repositories.rows import delete_row, insert_row, update_changed
from node.repositories.values import now_text, read_id, read_text, read_text_or_none, to_json, value_from_json

#: What a person set for everything, as opposed to `app:NAME` or `system`.
PERSON_SCOPE = "person"

# The unit separator cannot occur in a scope or key, so two different pairs never make one text.
_SEPARATOR = "\x1f"
_COLUMNS = "id, scope, key, value, updated_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """One preference as the store holds it."""

    id: RowId
    scope: str
    key: str
    value: object
    updated_at: str | None


def preference_id(scope: str, key: str) -> RowId:
    """Return the id that this preference has on every device; raises UsageError for an unusable name."""
    for name, text in (("scope", scope), ("key", key)):
        if not text.strip() or any(character < " " for character in text):
            raise UsageError(f"The {name} of a preference is a text without control characters, and not empty.")
    return natural_row_id("preferences", scope + _SEPARATOR + key)


class Preferences:
    """The preferences of one store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def set(self, key: str, value: object, *, scope: str = PERSON_SCOPE) -> RowId:
        """Set a preference; setting the value that it has writes nothing. Raises UsageError for what is not JSON."""
        row_id = preference_id(scope, key)
        try:
            encoded = to_json(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"The value of the preference {key!r} cannot be written as JSON.") from error
        now = now_text(self._clock)
        with self._database.transaction() as transaction:
            if not update_changed(transaction, "preferences", row_id, {"value": encoded}, updated_at=now):
                cells: dict[str, SqlValue] = {"id": row_id, "scope": scope, "key": key, "value": encoded}
                insert_row(transaction, "preferences", {**cells, "created_at": now, "updated_at": now})
        return row_id

    def get(self, key: str, *, scope: str = PERSON_SCOPE) -> Preference | None:
        """Return a preference, or None if it is not set."""
        rows = self._database.query(f"SELECT {_COLUMNS} FROM preferences WHERE id = ?", (preference_id(scope, key),))
        self._database.require_whole("preferences", [preference_id(scope, key)] if rows else [])
        return _preference(rows[0]) if rows else None

    def all(self, *, scope: str | None = None) -> list[Preference]:
        """Return the preferences of one scope or of all, by scope and key."""
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM preferences WHERE ? IS NULL OR scope = ? ORDER BY scope, key, id", (scope, scope)
        )
        return [_preference(row) for row in rows]

    def unset(self, key: str, *, scope: str = PERSON_SCOPE) -> bool:
        """Delete a preference on every device; return whether it was set."""
        with self._database.transaction() as transaction:
            return delete_row(transaction, "preferences", preference_id(scope, key))


def _preference(row: SqlRow) -> Preference:
    return Preference(
        id=read_id(row[0]),
        scope=read_text(row[1]),
        key=read_text(row[2]),
        value=value_from_json(row[3]),
        updated_at=read_text_or_none(row[4]),
    )
