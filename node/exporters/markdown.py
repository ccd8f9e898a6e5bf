"""Writes what is kept here as a folder of Markdown files, to be read by a person and by programs for notes.

`memories/NAMESPACE/…`, one file each, whose front matter brings it back with its id (`node/importers/markdown.py`; a
memory that came from a file of notes gets that file's path again); `conversations/…`, one file each, first the current
branch and then the turns that are on no other; `people/…`, `projects/…` and `preferences.md`. Counts of use, settings
and attachments' hashes are not in it: nothing but the export as jsonl is complete.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from crdt.identifiers import RowId, row_id_to_text
from node.exporters.threads import current_branch
from node.importers.markdown import LINKS, SOURCE, SUFFIXES
from node.repositories.ports import Database, SqlValue
from node.repositories.values import (
    object_from_json,
    read_id,
    read_id_or_none,
    read_text,
    read_text_or_none,
    strings_from_json,
)

_NAME_CHARACTERS_MAX = 60
# What no file system minds in a name.
_UNFIT = re.compile(r"[^\w .,()\[\]@+'&=-]+")
# JSON is YAML but for characters that YAML takes for the end of a line, or refuses.
_ESCAPED = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)}
_MEMORY_FIELDS = ("kind", "title", "namespace", "importance", "tags", "status", "source", "created_at", "updated_at")
_CONVERSATION_FIELDS = ("namespace", "provider", "model", "status", "summary", "tags", "created_at", "updated_at")
_ROLES: Mapping[str, str] = {"user": "You", "assistant": "Assistant", "system": "System", "tool": "Tool"}


@dataclass(frozen=True, slots=True)
class ExportedText:
    """One file of an export: its path below the export's folder, with `/`, and what it holds."""

    path: str
    text: str


def markdown_files(database: Database) -> Iterator[ExportedText]:
    """Return the files; raises StorageError. No two paths differ by case alone."""
    taken: set[str] = set()
    kinds = (_memories, _conversations, _people, _projects, _preferences)
    for path, text in chain.from_iterable(kind(database) for kind in kinds):
        yield ExportedText(_free(path, taken), text)


def _memories(database: Database) -> Iterator[tuple[str, str]]:
    columns = ("id", "content", "metadata", *LINKS, *_MEMORY_FIELDS)
    for row in database.query(f"SELECT {', '.join(columns)} FROM memories ORDER BY id"):
        cells = dict(zip(columns, row, strict=True))
        row_id, content = read_id(cells["id"]), read_text(cells["content"])
        metadata = object_from_json(cells["metadata"])
        fields: dict[str, object] = {"nuthatch": "memory", "id": row_id_to_text(row_id)}
        fields |= {name: cells[name] for name in _MEMORY_FIELDS}
        fields["tags"] = list(strings_from_json(cells["tags"]))
        fields |= {name: row_id_to_text(link) for name in LINKS if isinstance(link := cells[name], bytes)}
        fields["metadata"] = dict(metadata)
        came_from = metadata.get("path") if cells["source"] == SOURCE else None
        if isinstance(came_from, str) and came_from.lower().endswith(SUFFIXES):
            name = "/".join(map(_name, came_from.rpartition(".")[0].split("/")))
        else:
            name = _name(read_text_or_none(cells["title"]) or content)
        yield f"memories/{_name(read_text(cells['namespace']))}/{name}.md", front_matter(fields) + content


def _conversations(database: Database) -> Iterator[tuple[str, str]]:
    columns = ("id", "title", "metadata", *_CONVERSATION_FIELDS)
    for row in database.query(f"SELECT {', '.join(columns)} FROM conversations ORDER BY id"):
        cells = dict(zip(columns, row, strict=True))
        row_id, title = read_id(cells["id"]), read_text(cells["title"])
        fields: dict[str, object] = {"nuthatch": "conversation", "id": row_id_to_text(row_id), "title": title}
        fields |= {name: cells[name] for name in _CONVERSATION_FIELDS}
        fields["tags"] = list(strings_from_json(cells["tags"]))
        created = read_text_or_none(cells["created_at"]) or ""
        current = object_from_json(cells["metadata"]).get("current_message")
        path = f"conversations/{_name(f'{created[:10]} {title}')}.md"
        yield path, front_matter(fields) + "".join(_turns(database, row_id, title, current))


def _turns(database: Database, conversation_id: RowId, title: str, current: object) -> Iterator[str]:
    """Return a conversation as it reads: the current branch, then the turns that are not on it."""
    turns = {
        read_id(row[0]): row
        for row in database.query(
            "SELECT id, parent_id, role, speaker, content, created_at FROM messages WHERE conversation_id = ?"
            " ORDER BY created_at, id",
            (conversation_id,),
        )
    }
    parents = {row_id: read_id_or_none(row[1]) for row_id, row in turns.items()}
    branch = current_branch(parents, current)
    yield f"# {title or 'A conversation'}\n"
    for row_id in branch:
        yield _turn(turns[row_id], "##", None)
    others = [row_id for row_id in turns if row_id not in set(branch)]
    if others:
        yield "\n# Other branches\n"
    for row_id in others:
        parent = parents[row_id]
        yield _turn(turns[row_id], "##", None if parent is None else turns.get(parent))


def _turn(row: tuple[SqlValue, ...], heading: str, answers: tuple[SqlValue, ...] | None) -> str:
    role, speaker = read_text(row[2]), read_text_or_none(row[3])
    at = (read_text_or_none(row[5]) or "")[:16].replace("T", " ")
    who = speaker or _ROLES.get(role, role)
    said = "" if answers is None else f"\n*in answer to: {_name(read_text(answers[4]))}*\n"
    return f"\n{heading} {who}{' · ' if at else ''}{at}\n{said}\n{read_text(row[4]).rstrip()}\n"


def _people(database: Database) -> Iterator[tuple[str, str]]:
    columns = "id, name, aliases, relation, pronouns, birthday, notes"
    for row in database.query(f"SELECT {columns} FROM people ORDER BY id"):
        fields: dict[str, object] = {"nuthatch": "person", "id": row_id_to_text(read_id(row[0])), "name": row[1]}
        fields["aliases"] = list(strings_from_json(row[2]))
        fields |= dict(zip(("relation", "pronouns", "birthday"), row[3:6], strict=True))
        related = database.query(
            "SELECT relationships.kind, people.name FROM relationships"
            " JOIN people ON people.id = relationships.other_person_id WHERE person_id = ? ORDER BY relationships.id",
            (read_id(row[0]),),
        )
        lines = "".join(f"- {read_text(kind)} {read_text(name)}\n" for kind, name in related)
        yield f"people/{_name(read_text(row[1]))}.md", front_matter(fields) + read_text(row[6]).rstrip() + "\n" + lines


def _projects(database: Database) -> Iterator[tuple[str, str]]:
    columns = "id, name, description, status, created_at, updated_at"
    for row in database.query(f"SELECT {columns} FROM projects ORDER BY id"):
        fields: dict[str, object] = {"nuthatch": "project", "id": row_id_to_text(read_id(row[0])), "name": row[1]}
        fields |= {"status": row[3], "created_at": row[4], "updated_at": row[5]}
        yield f"projects/{_name(read_text(row[1]))}.md", front_matter(fields) + read_text(row[2]).rstrip() + "\n"


def _preferences(database: Database) -> Iterator[tuple[str, str]]:
    rows = database.query("SELECT scope, key, value FROM preferences ORDER BY scope, key")
    if rows:
        lines = "".join(
            f"- {read_text(scope)} / {read_text(key)}: `{read_text(value)}`\n" for scope, key, value in rows
        )
        yield "preferences.md", front_matter({"nuthatch": "preferences"}) + lines


def front_matter(fields: Mapping[str, object]) -> str:
    """Return fields as YAML between lines of dashes, without those that are None; every value is also JSON."""
    lines = (f"{name}: {_yaml(value)}\n" for name, value in fields.items() if value not in (None, [], {}))
    return "---\n" + "".join(lines) + "---\n"


def _yaml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).translate(_ESCAPED)


def _name(text: str) -> str:
    """Return the beginning of a text as a name that every file system takes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    fit = _UNFIT.sub(" ", first.lstrip("#")).strip(" .")
    return " ".join(fit.split())[:_NAME_CHARACTERS_MAX].strip(" .") or "untitled"


def _free(path: str, taken: set[str]) -> str:
    """Return the path, with a number where another file has it."""
    stem, _, suffix = path.rpartition(".")
    free, number = path, 1
    while free.casefold() in taken:
        number += 1
        free = f"{stem} ({number}).{suffix}"
    taken.add(free.casefold())
    return free
