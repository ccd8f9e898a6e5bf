"""People: who is in the person's life, what is known about them and how they are related."""

from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from crdt.identifiers import RowId, natural_row_id, row_id_to_text
from node.clock import Clock
from node.errors import UsageError
from node.repositories.ports import Database, SqlRow, SqlValue
from node.repositories.rows import delete_row, given_cells, insert_row, update_changed
from node.repositories.values import (
    JsonObject,
    now_text,
    object_from_json,
    read_id,
    read_id_or_none,
    read_integer,
    read_real_or_none,
    read_text,
    read_text_or_none,
    strings_from_json,
    strings_to_json,
    to_json,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person; `closeness` from 0 (a stranger) to 1, `is_self` for the owner of the store."""

    id: RowId
    name: str
    is_self: bool
    aliases: tuple[str, ...]
    relation: str | None
    pronouns: str | None
    birthday: str | None
    notes: str
    closeness: float | None
    metadata: JsonObject
    last_contact_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPerson:
    """What is known about a person at first."""

    name: str
    is_self: bool = False
    aliases: tuple[str, ...] = ()
    relation: str | None = None
    pronouns: str | None = None
    birthday: str | None = None
    notes: str = ""
    closeness: float | None = None
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonEdit:
    """The fields of a person to change; what is not given is left alone."""

    name: str | UnsetType = UNSET
    aliases: tuple[str, ...] | UnsetType = UNSET
    relation: str | UnsetType | None = UNSET
    pronouns: str | UnsetType | None = UNSET
    birthday: str | UnsetType | None = UNSET
    notes: str | UnsetType = UNSET
    closeness: float | UnsetType | None = UNSET
    metadata: JsonObject | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """`person` is `kind` of `other_person`."""

    id: RowId
    person_id: RowId | None
    other_person_id: RowId | None
    kind: str
    notes: str


_COLUMNS = "id, name, is_self, aliases, relation, pronouns, birthday, notes, closeness, metadata, last_contact_at"


class People:
    """The people of one store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, new: NewPerson) -> RowId:
        """Add a person and return the id; two people may have one name."""
        _require_name(new.name)
        row_id = self._database.new_row_id()
        now = now_text(self._clock)
        cells: dict[str, SqlValue] = {
            "id": row_id,
            "name": new.name,
            "is_self": int(new.is_self),
            "aliases": strings_to_json(new.aliases),
            "relation": new.relation,
            "pronouns": new.pronouns,
            "birthday": new.birthday,
            "notes": new.notes,
            "closeness": new.closeness,
            "metadata": to_json(new.metadata),
            "created_at": now,
            "updated_at": now,
        }
        with self._database.transaction() as transaction:
            insert_row(transaction, "people", cells)
        return row_id

    def get(self, row_id: RowId) -> Person | None:
        """Return a person, or None if there is none of this id."""
        rows = self._database.query(f"SELECT {_COLUMNS} FROM people WHERE id = ?", (row_id,))
        self._database.require_whole("people", [row_id] if rows else [])
        return _person(rows[0]) if rows else None

    def named(self, name: str) -> list[Person]:
        """Return the people who go by a name or alias, in any case, the one known first before the others."""
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM people WHERE lower(name) = lower(?) OR EXISTS"
            " (SELECT 1 FROM json_each(people.aliases) AS alias WHERE lower(alias.value) = lower(?))"
            " ORDER BY created_at, id",
            (name, name),
        )
        return [_person(row) for row in rows]

    def all(self) -> list[Person]:
        """Return everybody: the owner first, then the closest, then by name."""
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM people ORDER BY is_self DESC, closeness DESC NULLS LAST, name, id"
        )
        return [_person(row) for row in rows]

    def edit(self, row_id: RowId, edit: PersonEdit) -> bool:
        """Change the given fields; return whether the person exists."""
        if not isinstance(edit.name, UnsetType):
            _require_name(edit.name)
        cells = given_cells(
            (
                ("name", edit.name),
                ("aliases", UNSET if isinstance(edit.aliases, UnsetType) else strings_to_json(edit.aliases)),
                ("relation", edit.relation),
                ("pronouns", edit.pronouns),
                ("birthday", edit.birthday),
                ("notes", edit.notes),
                ("closeness", edit.closeness),
                ("metadata", UNSET if isinstance(edit.metadata, UnsetType) else to_json(edit.metadata)),
            )
        )
        with self._database.transaction() as transaction:
            return update_changed(transaction, "people", row_id, cells, updated_at=now_text(self._clock))

    def record_contact(self, row_id: RowId) -> None:
        """Note that the owner and this person were in touch just now; of several devices the latest counts."""
        now = now_text(self._clock)
        with self._database.transaction() as transaction:
            transaction.execute(
                "UPDATE people SET last_contact_at = max(coalesce(last_contact_at, ''), ?) WHERE id = ?", (now, row_id)
            )

    def forget(self, row_id: RowId) -> bool:
        """Delete a person and the relationships at both ends; memories about them stay, without a person."""
        with self._database.transaction() as transaction:
            transaction.execute("UPDATE memories SET person_id = NULL WHERE person_id = ?", (row_id,))
            return delete_row(transaction, "people", row_id)

    def relate(self, person_id: RowId, kind: str, other_person_id: RowId, *, notes: str = "") -> RowId:
        """Say that a person is `kind` of another; the same relationship drawn on two devices is one row."""
        _require_name(kind)
        key = " ".join((row_id_to_text(person_id), row_id_to_text(other_person_id), kind))
        row_id = natural_row_id("relationships", key)
        now = now_text(self._clock)
        cells: dict[str, SqlValue] = {
            "id": row_id,
            "person_id": person_id,
            "other_person_id": other_person_id,
            "kind": kind,
            "notes": notes,
            "created_at": now,
            "updated_at": now,
        }
        with self._database.transaction() as transaction:
            for end in (person_id, other_person_id):
                if not transaction.execute("SELECT 1 FROM people WHERE id = ?", (end,)).rows:
                    raise UsageError("There is no person of this id on this device.")
            if not update_changed(transaction, "relationships", row_id, {"notes": notes}, updated_at=now):
                insert_row(transaction, "relationships", cells)
        return row_id

    def relationships(self, person_id: RowId) -> list[Relationship]:
        """Return the relationships of a person, from either end."""
        rows = self._database.query(
            "SELECT id, person_id, other_person_id, kind, notes FROM relationships"
            " WHERE person_id = ? OR other_person_id = ? ORDER BY created_at, id",
            (person_id, person_id),
        )
        return [
            Relationship(
                id=read_id(row[0]),
                person_id=read_id_or_none(row[1]),
                other_person_id=read_id_or_none(row[2]),
                kind=read_text(row[3]),
                notes=read_text(row[4]),
            )
            for row in rows
        ]


def _require_name(name: str) -> None:
    if not name.strip():
        raise UsageError("A person needs a name, and a relationship a kind: the one given is empty.")


def _person(row: SqlRow) -> Person:
    return Person(
        id=read_id(row[0]),
        name=read_text(row[1]),
        is_self=read_integer(row[2]) != 0,
        aliases=strings_from_json(row[3]),
        relation=read_text_or_none(row[4]),
        pronouns=read_text_or_none(row[5]),
        birthday=read_text_or_none(row[6]),
        notes=read_text(row[7]),
        closeness=read_real_or_none(row[8]),
        metadata=object_from_json(row[9]),
        last_contact_at=read_text_or_none(row[10]),
    )
