"""The edits that the three devices make to the same records while apart, and what must come of them.

Each record shows a rule: every word that was written apart is in the text, of two titles the latest shows and the other
is kept, a tag added anywhere stays, a tag taken away goes, uses add up, and a deleted message stays deleted although
another device edited it without knowing.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from node.demo.device import DemoError
from node.requests import (
    EDIT,
    FORGET,
    REMEMBER,
    SHOW,
    SQL,
    Caller,
    EditRequest,
    ForgetRequest,
    RememberRequest,
    ShowRequest,
    SqlRequest,
)

_TEXT_BEFORE = "Dinner with Rosa on Friday."
_TAGS_BEFORE = ("dinner", "draft")
_TAG_TAKEN_AWAY = "draft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """What one device does to the memory: a new text, perhaps a title, a further tag, a number of uses."""

    text: str
    title: str | None
    tag: str
    uses: int


LAPTOP = Deeds(text="Dinner with Rosa on Friday at seven.", title=None, tag="friday", uses=1)
PHONE = Deeds(text="Dinner with Rosa and Ben on Friday.", title="Rosa and Ben", tag="ben", uses=2)
TABLET = Deeds(text="Dinner with Rosa on Friday. She brings wine.", title="Friday dinner", tag="wine", uses=3)
#: What the three edits come to, whichever arrives first.
TEXT_AFTER = "Dinner with Rosa and Ben on Friday at seven. She brings wine."


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRecords:
    """The ids of the memory and of the message that all devices hold and edit."""

    memory_id: str
    message_id: str


async def make_shared_records(caller: Caller) -> SharedRecords:
    """Keep the memory, and pick the first message of the imported conversation."""
    remembered = await caller.call(REMEMBER, RememberRequest(text=_TEXT_BEFORE, tags=list(_TAGS_BEFORE)))
    found = await caller.call(SQL, SqlRequest(statement="SELECT id FROM messages ORDER BY created_at, id LIMIT 1"))
    match found.rows:
        case [[{"$base64": str(encoded)}]]:
            return SharedRecords(memory_id=remembered.id, message_id=str(UUID(bytes=base64.b64decode(encoded))))
        case _:
            raise DemoError("The conversation has no message; choose another file.")


async def edit_memory(caller: Caller, records: SharedRecords, deeds: Deeds) -> None:
    """Give the memory a new text, exchange its tags, and count uses, as a person and an assistant would."""
    await caller.call(EDIT, EditRequest(id=records.memory_id, text=deeds.text))
    tags = sorted({*_TAGS_BEFORE, deeds.tag} - {_TAG_TAKEN_AWAY})
    key = {"$base64": base64.b64encode(UUID(records.memory_id).bytes).decode()}
    result = await caller.call(
        SQL,
        SqlRequest(
            statement="UPDATE memories SET tags = ?, use_count = use_count + ?, title = ifnull(?, title) WHERE id = ?",
            parameters=[msgspec.json.encode(tags).decode(), deeds.uses, deeds.title, key],
        ),
    )
    if result.changes != 1:
        raise DemoError(f"An edit of the memory changed {result.changes} rows instead of one.")


async def correct_message(caller: Caller, records: SharedRecords) -> None:
    """Edit the message that another device forgets meanwhile."""
    await caller.call(EDIT, EditRequest(id=records.message_id, text="Corrected while another device forgot it."))


async def forget_message(caller: Caller, records: SharedRecords) -> None:
    """Forget the message that another device edits meanwhile."""
    await caller.call(FORGET, ForgetRequest(id=records.message_id))


async def memory_fields(caller: Caller, records: SharedRecords) -> dict[str, object]:
    """Return every column of the memory."""
    return (await caller.call(SHOW, ShowRequest(id=records.memory_id))).fields


async def message_count(caller: Caller, records: SharedRecords) -> object:
    """Return how many messages have the id of the forgotten one."""
    key = {"$base64": base64.b64encode(UUID(records.message_id).bytes).decode()}
    statement = "SELECT count(*) FROM messages WHERE id = ?"
    return (await caller.call(SQL, SqlRequest(statement=statement, parameters=[key]))).rows[0][0]


def check_outcome(fields_by_device: Mapping[str, Mapping[str, object]], message_counts: Sequence[object]) -> None:
    """Raise `DemoError` unless every device holds exactly what the rules say."""
    must = {
        "content": TEXT_AFTER,
        "title": TABLET.title,
        "tags": _tags_after(),
        "use_count": LAPTOP.uses + PHONE.uses + TABLET.uses,
    }
    fields = list(fields_by_device.values())
    for device, found in fields_by_device.items():
        for column, value in must.items():
            if found[column] != value:
                raise DemoError(f"On {device} the memory's {column} is {found[column]!r} instead of {value!r}.")
    if any(found != fields[0] for found in fields[1:]):
        raise DemoError("The devices hold different versions of the memory.")
    if any(count != 0 for count in message_counts):
        raise DemoError("The forgotten message came back.")


def described(deeds: Deeds, *, message: str) -> dict[str, str]:
    """Say what a device did, by what it did it to."""
    return {
        "a memory": f"“{deeds.text}”",
        "its title": f"“{deeds.title}”" if deeds.title else "leaves it",
        "its tags": f"+ {deeds.tag}  - {_TAG_TAKEN_AWAY}",
        "its uses": f"+ {deeds.uses}",
        "a message": message,
    }


def outcome(conflicts: int) -> dict[str, str]:
    """Say what `check_outcome` has found on every device, and how many losing versions are kept."""
    kept = " (the latest; the other one is kept)" if conflicts else " (the latest)"
    return {
        "a memory": f"“{TEXT_AFTER}”",
        "its title": f"“{TABLET.title}”{kept}",
        "its tags": ", ".join(_tags_after()),
        "its uses": f"{LAPTOP.uses} + {PHONE.uses} + {TABLET.uses} = {LAPTOP.uses + PHONE.uses + TABLET.uses}",
        "a message": "gone: a correction made without knowing does not bring it back",
    }


def _tags_after() -> list[str]:
    return sorted({*_TAGS_BEFORE, LAPTOP.tag, PHONE.tag, TABLET.tag} - {_TAG_TAKEN_AWAY})
