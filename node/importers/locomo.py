"""Reads conversations in the shape of the LoCoMo benchmark (Maharana et al. 2024, arXiv 2402.17753).

A file is one conversation, or a list of samples that each hold one under `conversation`. What becomes what:

- the conversation of two people → one row of `conversations`;
- each turn of `session_N` → a row of `messages` with its speaker; the turns of a session are a second apart, from
  `session_N_date_time` on, because the format gives no finer time and no zone (it is read as UTC);
- a picture (`img_url`, `blip_caption`) → a row of `message_attachments`; its bytes are not in the file;
- each fact of `session_N_observation` → a memory that names the turn it came from;
- each `session_N_summary` → a memory of kind `context`.

The questions of the benchmark (`qa`) and its event graphs are not part of anybody's memory and are left out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from crdt.identifiers import RowId
from node.importers.documents import Document
from node.importers.plan import ImportedRow, ImportPlan, content_row_id, malformed, text_problem
from node.importers.positions import PathStep, line_of, path_text
from node.repositories.ports import SqlValue
from node.repositories.values import instant_text, strings_to_json, to_json

_SESSION = re.compile(r"session_([1-9][0-9]*)")
_TIME = re.compile(r"(\d{1,2}):(\d{2}) (am|pm) on (\d{1,2}) ([A-Z][a-z]+),? (\d{4})")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SOURCE = "locomo"
_TURN_MILLISECONDS = 1_000
_FILE_BYTES_MAX = 256 * 1024 * 1024


class _MalformedValueError(Exception):
    """The value at `path` is not what the format says; becomes an InputError with its line."""

    def __init__(self, path: tuple[PathStep, ...], problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


class LocomoImporter:
    """The importer of LoCoMo files."""

    def __init__(self, namespace: str = "default") -> None:
        self._namespace = namespace

    def read(self, document: Document) -> ImportPlan:
        """Return the plan; raises InputError that names the line and the field which is malformed."""
        content, file_name = document.content(_FILE_BYTES_MAX), document.name
        try:
            text = content.decode("utf-8-sig")
            samples = _samples(json.loads(text))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise malformed(file_name, line, None, "this is not UTF-8 text") from error
        except json.JSONDecodeError as error:
            raise malformed(file_name, error.lineno, None, f"this is not JSON ({error.msg})") from error
        except RecursionError as error:
            raise malformed(file_name, None, None, "the JSON is nested too deeply") from error
        try:
            rows = [row for sample in samples for row in sample.rows(self._namespace)]
        except _MalformedValueError as error:
            line = line_of(text, error.path)
            raise malformed(file_name, line, path_text(error.path) or None, error.problem) from error
        return ImportPlan(rows=tuple({(row.table, row.id): row for row in rows}.values()))


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object that knows where it stands in the document."""

    path: tuple[PathStep, ...]
    value: Mapping[str, object]

    def has(self, key: str) -> bool:
        return self.value.get(key) is not None

    def text(self, key: str) -> str:
        return _text(self.value.get(key), (*self.path, key))

    def child(self, key: str) -> "_Object":
        return _object(self.value.get(key), (*self.path, key))

    def items(self, key: str) -> list[tuple[tuple[PathStep, ...], object]]:
        path = (*self.path, key)
        value = self.value.get(key)
        if not isinstance(value, list):
            raise _MalformedValueError(path, "a list is expected here")
        return [((*path, index), item) for index, item in enumerate(value)]


def _object(value: object, path: tuple[PathStep, ...]) -> _Object:
    if not isinstance(value, dict):
        raise _MalformedValueError(path, "an object is expected here")
    return _Object(path, value)


def _text(value: object, path: tuple[PathStep, ...]) -> str:
    if not isinstance(value, str):
        raise _MalformedValueError(path, "a text is expected here" if value is not None else "it is missing")
    problem = text_problem(value)
    if problem is not None:
        raise _MalformedValueError(path, f"the text {problem}")
    return value


def _samples(document: object) -> Iterator["_Sample"]:
    if isinstance(document, list):
        for index, item in enumerate(document):
            yield _sample(_object(item, (index,)))
    else:
        yield _sample(_object(document, ()))


def _sample(document: _Object) -> "_Sample":
    """Return the sample; published files nest the conversation and hold observations and summaries beside it."""
    nested = document.has("conversation")
    talk = document.child("conversation") if nested else document
    observations = document.child("observation") if nested and document.has("observation") else document
    summaries = document.child("session_summary") if nested and document.has("session_summary") else document
    numbers = sorted(int(match[1]) for key in talk.value if (match := _SESSION.fullmatch(key)))
    if not numbers:
        raise _MalformedValueError(talk.path, "there is no session_1 with turns")
    return _Sample(talk=talk, observations=observations, summaries=summaries, sessions=tuple(numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """One conversation on its way to rows."""

    talk: _Object
    observations: _Object
    summaries: _Object
    sessions: tuple[int, ...]
    message_id_by_turn: dict[str, RowId] = field(default_factory=dict)

    def rows(self, namespace: str) -> list[ImportedRow]:
        speakers = (self.talk.text("speaker_a"), self.talk.text("speaker_b"))
        began = _time(self.talk, self.sessions[0])
        # The first words are part of the identity: two pairs of the same names may begin in the same minute.
        opening = [
            _object(item, path).text("text") for path, item in self.talk.items(f"session_{self.sessions[0]}")[:1]
        ]
        conversation_id = content_row_id(began, "conversation", *speakers, *opening)
        conversation: dict[str, SqlValue] = {
            "namespace": namespace,
            "title": f"{speakers[0]} and {speakers[1]}",
            "tags": strings_to_json((_SOURCE,)),
            "metadata": to_json({"source": _SOURCE}),
            "created_at": instant_text(began),
            "updated_at": instant_text(_time(self.talk, self.sessions[-1])),
        }
        rows = [ImportedRow(table="conversations", id=conversation_id, cells=conversation)]
        for number in self.sessions:
            rows.extend(self._turns(conversation_id, number))
        for number in self.sessions:
            rows.extend(self._memories(conversation_id, namespace, number))
        return rows

    def _turns(self, conversation_id: RowId, number: int) -> Iterator[ImportedRow]:
        began = _time(self.talk, number)
        for index, (path, item) in enumerate(self.talk.items(f"session_{number}")):
            turn = _object(item, path)
            speaker, place, text = turn.text("speaker"), turn.text("dia_id"), turn.text("text")
            at = began + index * _TURN_MILLISECONDS
            message_id = content_row_id(at, "message", conversation_id.hex(), place, speaker, text)
            if place in self.message_id_by_turn:
                raise _MalformedValueError((*path, "dia_id"), f"{place} names two turns")
            self.message_id_by_turn[place] = message_id
            cells: dict[str, SqlValue] = {
                "conversation_id": conversation_id,
                "role": "user",
                "speaker": speaker,
                "content": text,
                "metadata": to_json({"session": number, "turn": place}),
                "created_at": instant_text(at),
            }
            yield ImportedRow(table="messages", id=message_id, cells=cells)
            if turn.has("blip_caption") or turn.has("img_url"):
                yield _picture(turn, message_id, at)

    def _memories(self, conversation_id: RowId, namespace: str, number: int) -> Iterator[ImportedRow]:
        at = _time(self.talk, number)
        key = f"session_{number}_observation"
        if self.observations.has(key):
            by_speaker = self.observations.child(key)
            for speaker in by_speaker.value:
                for path, item in by_speaker.items(speaker):
                    yield self._fact(path, item, speaker, conversation_id, namespace, at)
        key = f"session_{number}_summary"
        if self.summaries.has(key):
            summary = self.summaries.text(key)
            cells = _memory_cells(namespace, "context", summary, (), at)
            cells["title"] = f"Session {number}"
            row_id = content_row_id(at, "summary", conversation_id.hex(), summary)
            yield ImportedRow(table="memories", id=row_id, cells=cells)

    def _fact(
        self, path: tuple[PathStep, ...], item: object, speaker: str, conversation_id: RowId, namespace: str, at: int
    ) -> ImportedRow:
        if not isinstance(item, list) or len(item) != 2:
            raise _MalformedValueError(path, "a fact and the turn it came from are expected here")
        fact = _text(item[0], (*path, 0))
        # A fact may name several turns, as a list or as one text; the first that is known is its source.
        named = item[1] if isinstance(item[1], list) else [item[1]]
        turns = [
            turn for index, entry in enumerate(named) for turn in re.split(r"[;, ]+", _text(entry, (*path, 1, index)))
        ]
        source = next((self.message_id_by_turn[turn] for turn in turns if turn in self.message_id_by_turn), None)
        cells = _memory_cells(namespace, "fact", fact, (_text(speaker, path),), at)
        cells["source_message_id"] = source
        row_id = content_row_id(
            at, "fact", conversation_id.hex(), "" if source is None else source.hex(), speaker, fact
        )
        return ImportedRow(table="memories", id=row_id, cells=cells)


def _memory_cells(namespace: str, kind: str, content: str, tags: tuple[str, ...], at: int) -> dict[str, SqlValue]:
    return {
        "namespace": namespace,
        "kind": kind,
        "content": content,
        "tags": strings_to_json((_SOURCE, *tags)),
        "source": _SOURCE,
        "created_at": instant_text(at),
        "updated_at": instant_text(at),
    }


def _picture(turn: _Object, message_id: RowId, at: int) -> ImportedRow:
    caption = turn.text("blip_caption") if turn.has("blip_caption") else None
    address: str | None = None
    if turn.has("img_url"):
        addresses = turn.items("img_url") if isinstance(turn.value["img_url"], list) else []
        address = _text(addresses[0][1], addresses[0][0]) if addresses else None
        if not isinstance(turn.value["img_url"], list):
            address = turn.text("img_url")
    cells: dict[str, SqlValue] = {
        "message_id": message_id,
        "kind": "image",
        "caption": caption,
        "path": address,
        "created_at": instant_text(at),
    }
    row_id = content_row_id(at, "picture", message_id.hex(), caption or "", address or "")
    return ImportedRow(table="message_attachments", id=row_id, cells=cells)


def _time(talk: _Object, number: int) -> int:
    """Return the beginning of a session in milliseconds since 1970."""
    key = f"session_{number}_date_time"
    written = talk.text(key)
    match = _TIME.fullmatch(written.strip())
    try:
        if match is None:
            raise ValueError
        hour, minute, half, day, month, year = match.groups()
        if not 1 <= int(hour) <= 12:
            raise ValueError
        hours = int(hour) % 12 + (12 if half == "pm" else 0)
        moment = datetime(int(year), _MONTHS.index(month) + 1, int(day), hours, int(minute), tzinfo=UTC)
    except ValueError as error:
        raise _MalformedValueError(
            (*talk.path, key), "a time like '1:56 pm on 8 May, 2023' is expected here"
        ) from error
    return int(moment.timestamp()) * 1000
