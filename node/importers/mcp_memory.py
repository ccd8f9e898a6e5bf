"""Reads the knowledge graph of the MCP memory server (`memory.jsonl` of @modelcontextprotocol/server-memory).

A line is `{"type":"entity","name":…,"entityType":…,"observations":[…]}` or `{"type":"relation","from":…,"to":…,
"relationType":…}`; the answer of its tool `read_graph`, one object with `entities` and `relations`, is read too. What
becomes what:

- an entity that is a person → a row of `people`; any other → a memory of kind `entity`;
- each observation → a memory of its own with the entity's name as title, so that it is found, edited and forgotten
  alone; about a person it carries `person_id`;
- each relation → a memory of kind `relation` that says it in words.

`metadata.mcp_memory` keeps what the words do not tell (types, order, fields that forks of the server add), from which
`node/exporters/mcp_memory.py` writes the same lines again. Names make the ids: the server takes them to be unique.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from crdt.identifiers import RowId
from node.importers.documents import Document
from node.importers.json_records import JsonRecord, Unreadable, decoded, json_records
from node.importers.memory_rows import memory_row, whole_record
from node.importers.plan import ImportedRecord, ImportedRow, LeftOut, content_row_id
from node.repositories.values import strings_to_json, to_json

SOURCE = "mcp-memory"
DETAILS = "mcp_memory"
_PERSON_TYPES = frozenset({"human", "people", "person", "user"})
_FIRST_LINE_BYTES = 1 << 16


class _Entity(msgspec.Struct, frozen=True):
    name: str
    entityType: str  # noqa: N815  # the name in the file
    observations: list[str | dict[str, object]] = []


class _Relation(msgspec.Struct, frozen=True, rename={"source": "from", "target": "to"}):
    source: str
    target: str
    relationType: str  # noqa: N815  # the name in the file


class _Graph(msgspec.Struct, frozen=True):
    entities: list[msgspec.Raw]
    relations: list[msgspec.Raw]


_ENTITY_FIELDS = frozenset({"type", *_Entity.__struct_encode_fields__})
_RELATION_FIELDS = frozenset({"type", *_Relation.__struct_encode_fields__})


def is_person(entity_type: str) -> bool:
    """Tell whether entities of a type are people."""
    return entity_type.strip().lower() in _PERSON_TYPES


def person_id_of(name: str) -> RowId:
    """Return the id of the person that an entity of this name is."""
    return content_row_id(0, "person", SOURCE, name)


def entity_id_of(name: str) -> RowId:
    """Return the id of the memory that an entity of this name is, unless it is a person."""
    return content_row_id(0, "entity", SOURCE, name)


def relation_sentence(source: str, relation_type: str, target: str) -> str:
    """Return a relation in words, as a search finds it."""
    return f"{source} {relation_type} {target}"


class McpMemoryImporter:
    """The importer of the memory server's file."""

    def wanted(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the files that can be such a graph."""
        return [one for one in documents if len(documents) == 1 or one.name.endswith((".jsonl", ".json"))]

    def records(self, document: Document) -> Iterator[ImportedRecord | LeftOut]:
        """Read one graph; a relation tells of a person only if that person's entity is in the same file."""
        people = {name for _, fields in _lines(document) if (name := _person_name(fields.content)) is not None}
        for position, (place, record) in enumerate(_lines(document)):
            try:
                if record.problem is not None:
                    raise Unreadable(record.problem)
                yield whole_record(_rows(record.content, position, people), place, record.content)
            except Unreadable as error:
                yield LeftOut(place=place, problem=str(error), content=record.content)


def _lines(document: Document) -> Iterator[tuple[str, JsonRecord]]:
    """Return entities and relations with their places: line by line, or as the parts of one object."""
    if _holds_lines(document):
        # A broken line costs only itself, which brackets alone could not promise.
        for number, line in enumerate(document.lines(), start=1):
            if content := line.strip():
                yield f"{document.name}, line {number}", JsonRecord(number, content)
        return
    for record in json_records(document.blocks()):
        place = f"{document.name}, line {record.line}"
        try:
            graph = decoded(record.content, _Graph) if record.problem is None else None
        except Unreadable:
            graph = None
        if graph is None:
            yield place, record
            continue
        for kind, items in (("entity", graph.entities), ("relation", graph.relations)):
            for number, item in enumerate(items, start=1):
                yield f"{place}, {kind} {number}", JsonRecord(record.line, _typed(bytes(item), kind))


def _holds_lines(document: Document) -> bool:
    first = document.beginning(_FIRST_LINE_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0].strip()
    try:
        return "type" in decoded(first, dict[str, msgspec.Raw])
    except Unreadable:
        return False


def _typed(content: bytes, kind: str) -> bytes:
    try:
        return to_json({"type": kind, **decoded(content, dict[str, object])}).encode()
    except Unreadable:
        return content


def _person_name(content: bytes) -> str | None:
    try:
        fields = decoded(content, dict[str, object])
    except Unreadable:
        return None
    name, entity_type = fields.get("name"), fields.get("entityType")
    is_named = isinstance(name, str) and isinstance(entity_type, str) and is_person(entity_type)
    return str(name) if is_named else None


def _rows(content: bytes, position: int, people: set[str]) -> list[ImportedRow]:
    fields = decoded(content, dict[str, object])
    match fields.get("type"):
        case "entity":
            extra = {name: value for name, value in fields.items() if name not in _ENTITY_FIELDS}
            return list(_entity_rows(decoded(content, _Entity), position, extra))
        case "relation":
            extra = {name: value for name, value in fields.items() if name not in _RELATION_FIELDS}
            return [_relation_row(decoded(content, _Relation), position, extra, people)]
        case _:
            raise Unreadable("its type is neither entity nor relation")


def _entity_rows(entity: _Entity, position: int, extra: Mapping[str, object]) -> Iterator[ImportedRow]:
    if not entity.name.strip():
        raise Unreadable("the entity has no name")
    details = _details(position, extra, entity_type=entity.entityType)
    person_id = None
    if is_person(entity.entityType):
        person_id = person_id_of(entity.name)
        cells = {"name": entity.name, "metadata": to_json({DETAILS: details}), "aliases": strings_to_json(())}
        yield ImportedRow(table="people", id=person_id, cells=cells)
    else:
        yield memory_row(
            entity_id_of(entity.name),
            kind="entity",
            title=entity.name,
            content=entity.entityType,
            source=SOURCE,
            tags=(SOURCE,),
            metadata={DETAILS: details},
        )
    repeated: Counter[str] = Counter()
    for number, observation in enumerate(entity.observations):
        text, more = _observed(observation)
        times = repeated[text]
        repeated[text] += 1
        yield memory_row(
            content_row_id(0, "observation", SOURCE, entity.name, text, *([str(times)] if times else ())),
            title=entity.name,
            content=text,
            source=SOURCE,
            tags=(SOURCE,),
            metadata={DETAILS: _details(number, more, entity=entity.name)},
            person_id=person_id,
        )


def _observed(observation: str | dict[str, object]) -> tuple[str, dict[str, object]]:
    """Return what was observed, and the fields beside it: some forks of the server write objects."""
    if isinstance(observation, str):
        return observation, {}
    for name in ("content", "text"):
        text = observation.get(name)
        if isinstance(text, str):
            others = {key: value for key, value in observation.items() if key != name}
            return text, {"said_as": name, "fields": others}
    raise Unreadable("an observation is neither a text nor an object with a content")


def _relation_row(relation: _Relation, position: int, extra: Mapping[str, object], people: set[str]) -> ImportedRow:
    parts = (relation.source, relation.relationType, relation.target)
    return memory_row(
        content_row_id(0, "relation", SOURCE, *parts),
        kind="relation",
        content=relation_sentence(*parts),
        source=SOURCE,
        tags=(SOURCE,),
        metadata={DETAILS: _details(position, extra, **dict(zip(("from", "relation_type", "to"), parts, strict=True)))},
        person_id=person_id_of(relation.source) if relation.source in people else None,
    )


def _details(position: int, extra: Mapping[str, object], **named: object) -> dict[str, object]:
    details: dict[str, object] = {"position": position, **named}
    if extra:
        details["extra"] = dict(extra)
    return details
