"""Writes what is remembered as a knowledge graph that the MCP memory server reads (`memory.jsonl`).

What came from such a file goes out as it came, in its order and with the fields that it had; what has changed here
since goes out as it is now. What never was in one:

- a person → an entity of type `person` whose observations are what is noted about them and the memories about them;
- a relationship of two people → a relation;
- every other memory → an observation of an entity `memories` (of a namespace: `memories/NAMESPACE`).

Conversations are not part of such a graph. The file's form is described in `node/importers/mcp_memory.py`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crdt.identifiers import RowId
from node.importers.mcp_memory import DETAILS, entity_id_of, person_id_of, relation_sentence
from node.repositories.ports import Database, SqlValue
from node.repositories.values import (
    object_from_json,
    read_id,
    read_id_or_none,
    read_integer,
    read_text,
    read_text_or_none,
    strings_from_json,
)

DEFAULT_NAMESPACE = "default"
_ROWS_PER_PAGE = 1_000
# What has no place in a file comes after all that has.
_NO_POSITION = 2**53


@dataclass(slots=True, kw_only=True)
class _Entity:
    name: str
    entity_type: str
    position: int = _NO_POSITION
    extra: Mapping[str, object] = field(default_factory=dict)
    #: Each with the place that it had in its entity.
    observations: list[tuple[int, object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    id: RowId
    title: str | None
    content: str
    namespace: str
    person_id: RowId | None
    details: Mapping[str, object]

    def is_entity(self) -> bool:
        return "entity_type" in self.details


def graph_lines(database: Database) -> Iterator[str]:
    """Return the lines of the graph, each with its newline; raises StorageError."""
    graph = _Graph(database)
    graph.read_people()
    graph.read_memories()
    graph.read_relationships()
    yield from graph.lines()


class _Graph:
    """Entities by name, as they are collected, and the relations between them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entity_by_name: dict[str, _Entity] = {}
        self._name_by_person: dict[RowId, str] = {}
        self._name_by_entity: dict[RowId, str] = {}
        self._relations: list[tuple[int, dict[str, object]]] = []

    def read_people(self) -> None:
        """Collect everybody; two people of one name are one entity, because the server knows names alone."""
        columns = "id, name, metadata, aliases, relation, pronouns, birthday, notes"
        for row in self._database.query(f"SELECT {columns} FROM people ORDER BY id"):
            row_id, name, details = read_id(row[0]), read_text(row[1]), _details(row[2])
            self._name_by_person[row_id] = name
            entity = self._entity(name, "person")
            _place(entity, details)
            entity.observations += [(_NO_POSITION, text) for text in _noted(row[3:])]

    def read_memories(self) -> None:
        """Collect entities before what was observed of them, because a name may have been changed here."""
        for memory in self._memories():
            if memory.is_entity():
                name = memory.title or memory.content
                self._name_by_entity[memory.id] = name
                _place(self._entity(name, memory.content), {**memory.details, "entity_type": memory.content})
        for memory in self._memories():
            if not memory.is_entity() and not self._related(memory):
                entity = self._observed_entity(memory)
                entity.observations.append((_position(memory.details), _observation(memory)))

    def read_relationships(self) -> None:
        """Collect how people are related."""
        rows = self._database.query("SELECT person_id, other_person_id, kind FROM relationships ORDER BY id")
        for person, other, kind in rows:
            if isinstance(person, bytes) and isinstance(other, bytes):
                source, target = self._name_by_person.get(RowId(person)), self._name_by_person.get(RowId(other))
                if source is not None and target is not None:
                    line = {"type": "relation", "from": source, "to": target, "relationType": read_text(kind)}
                    self._relations.append((_NO_POSITION, dict[str, object](line)))

    def lines(self) -> Iterator[str]:
        """Return the lines: what has a place in a file in its order, then the rest, entities before relations."""
        found: list[tuple[int, dict[str, object]]] = []
        for entity in self._entity_by_name.values():
            observations = [said for _, said in sorted(entity.observations, key=lambda placed: placed[0])]
            line: dict[str, object] = {"type": "entity", "name": entity.name, "entityType": entity.entity_type}
            found.append((entity.position, {**line, "observations": observations, **entity.extra}))
        for _, placed in sorted((*found, *self._relations), key=lambda placed: placed[0]):
            yield json.dumps(placed, ensure_ascii=False, separators=(",", ":")) + "\n"

    def _memories(self) -> Iterator[_Memory]:
        after = -1
        while True:
            rows = self._database.query(
                "SELECT rowid, id, title, content, namespace, person_id, metadata FROM memories"
                " WHERE rowid > ? ORDER BY rowid LIMIT ?",
                (after, _ROWS_PER_PAGE),
            )
            for row in rows:
                after = read_integer(row[0])
                yield _Memory(
                    id=read_id(row[1]),
                    title=read_text_or_none(row[2]),
                    content=read_text(row[3]),
                    namespace=read_text(row[4]),
                    person_id=read_id_or_none(row[5]),
                    details=_details(row[6]),
                )
            if len(rows) < _ROWS_PER_PAGE:
                return

    def _entity(self, name: str, entity_type: str) -> _Entity:
        return self._entity_by_name.setdefault(name, _Entity(name=name, entity_type=entity_type))

    def _name_now(self, name: str) -> str:
        """Return the present name of an entity that was imported as `name`."""
        return self._name_by_person.get(person_id_of(name)) or self._name_by_entity.get(entity_id_of(name)) or name

    def _related(self, memory: _Memory) -> bool:
        """Take a relation whose words nobody changed; return whether it was one."""
        match dict(memory.details):
            case {"from": str(source), "relation_type": str(kind), "to": str(target)}:
                if memory.content != relation_sentence(source, kind, target):
                    return False
                names = {"from": self._name_now(source), "to": self._name_now(target), "relationType": kind}
                line: dict[str, object] = {"type": "relation", **names, **_extra(memory.details)}
                self._relations.append((_position(memory.details), line))
                return True
            case _:
                return False

    def _observed_entity(self, memory: _Memory) -> _Entity:
        """Return what a memory is about."""
        if memory.person_id is not None and (person := self._name_by_person.get(memory.person_id)) is not None:
            return self._entity(person, "person")
        about = memory.details.get("entity", memory.details.get("from"))
        if isinstance(about, str):
            return self._entity(self._name_now(about), "entity")
        name = "memories" if memory.namespace == DEFAULT_NAMESPACE else f"memories/{memory.namespace}"
        return self._entity(name, "memories")


def _details(metadata: SqlValue) -> Mapping[str, object]:
    details = object_from_json(metadata).get(DETAILS)
    return details if isinstance(details, dict) else {}


def _position(details: Mapping[str, object]) -> int:
    position = details.get("position")
    return position if isinstance(position, int) else _NO_POSITION


def _extra(details: Mapping[str, object]) -> Mapping[str, object]:
    extra = details.get("extra")
    return extra if isinstance(extra, dict) else {}


def _place(entity: _Entity, details: Mapping[str, object]) -> None:
    entity.position = min(entity.position, _position(details))
    entity.extra = {**entity.extra, **_extra(details)}
    if isinstance(entity_type := details.get("entity_type"), str):
        entity.entity_type = entity_type


def _observation(memory: _Memory) -> object:
    match dict(_extra(memory.details)):
        case {"said_as": str(name), "fields": dict(fields)}:
            return {name: memory.content, **fields}
        case _:
            return memory.content


def _noted(columns: Sequence[SqlValue]) -> Iterator[str]:
    """Return what is noted about a person in words."""
    aliases, relation, pronouns, birthday, notes = columns
    yield from (f"Also called {alias}" for alias in strings_from_json(aliases))
    for label, value in (("Relation", relation), ("Pronouns", pronouns), ("Birthday", birthday)):
        if isinstance(value, str) and value:
            yield f"{label}: {value}"
    if isinstance(notes, str) and notes.strip():
        yield notes
