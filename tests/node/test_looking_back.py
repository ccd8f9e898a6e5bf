"""Looking back and taking back as a program asks for it: log, undo, conflicts and what a forget would take away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.composition import init_home, open_home
from node.config import NodeConfig, PassphraseCost
from node.errors import RefusedError, UsageError
from node.operations.table import LocalCaller
from node.requests import (
    CONFLICT,
    CONFLICTS,
    EDIT,
    FORGET,
    LOG,
    REMEMBER,
    REOPEN,
    RESOLVE,
    SHOW,
    SQL,
    UNDO,
    Caller,
    ConflictRequest,
    ConflictsRequest,
    EditRequest,
    FieldChange,
    ForgetRequest,
    LogRequest,
    RememberRequest,
    ReopenRequest,
    ResolveRequest,
    ShowRequest,
    SqlRequest,
    UndoRequest,
)


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    cheap = PassphraseCost.INTERACTIVE
    config = NodeConfig(home_directory=tmp_path / "home", device_cost=cheap, owner_cost=cheap)
    await asyncio.to_thread(
        init_home, config, name="Laptop", passphrase="of the device", owner_passphrase="of the owner"
    )
    with open_home(config, passphrase="of the device") as service:
        yield LocalCaller(service)


async def remembered(caller: Caller, text: str) -> str:
    return (await caller.call(REMEMBER, RememberRequest(text=text))).id


async def test_the_log_names_device_time_and_both_values(caller: Caller) -> None:
    memory = await remembered(caller, "under the third pot")
    await caller.call(EDIT, EditRequest(id=memory, text="under the fourth pot"))
    changed, created = (await caller.call(LOG, LogRequest(id=memory))).entries
    assert (changed.what, created.what) == ("changed", "created")
    assert changed.device == "Laptop"
    assert changed.label == "under the fourth pot"
    assert changed.at >= created.at
    said = FieldChange(column="content", before="under the third pot", after="under the fourth pot")
    assert said in changed.fields
    assert (await caller.call(LOG, LogRequest(limit=1))).entries == [changed]


async def test_an_undo_is_seen_by_readers_and_in_the_log(caller: Caller) -> None:
    memory = await remembered(caller, "first")
    await caller.call(EDIT, EditRequest(id=memory, text="second"))
    undone = await caller.call(UNDO, UndoRequest(id=memory))
    assert undone.columns == ["content"]
    assert (await caller.call(SHOW, ShowRequest(id=memory))).fields["content"] == "first"
    versions = [entry.version for entry in (await caller.call(LOG, LogRequest(id=memory))).entries]
    assert len(set(versions)) == 3
    await caller.call(UNDO, UndoRequest(id=memory, to=versions[1]))
    assert (await caller.call(SHOW, ShowRequest(id=memory))).fields["content"] == "second"


async def test_a_dry_run_says_what_a_forget_then_takes(caller: Caller) -> None:
    conversation = "01910000-0000-7000-8000-000000000001"
    blob = f"x'{conversation.replace('-', '')}'"
    await caller.call(SQL, SqlRequest(statement=f"INSERT INTO conversations (id, title) VALUES ({blob}, 'talk')"))
    insert = f"INSERT INTO messages (conversation_id, content) VALUES ({blob}, 'one'), ({blob}, 'two')"
    await caller.call(SQL, SqlRequest(statement=insert))
    await caller.call(SQL, SqlRequest(statement="UPDATE messages SET tokens = 3"))
    planned = await caller.call(FORGET, ForgetRequest(id=conversation, dry_run=True))
    assert planned.rows_by_table == {"conversations": 1, "messages": 2}
    assert planned.changes == 2
    assert (await caller.call(SHOW, ShowRequest(id=conversation))).fields["title"] == "talk"
    done = await caller.call(FORGET, ForgetRequest(id=conversation))
    assert (done.dry_run, done.rows_by_table, done.changes) == (False, planned.rows_by_table, planned.changes)
    with pytest.raises(UsageError):
        await caller.call(SHOW, ShowRequest(id=conversation))
    with pytest.raises(RefusedError, match="forgotten"):
        await caller.call(UNDO, UndoRequest(id=conversation))


async def test_a_device_alone_has_no_conflicts_and_says_so(caller: Caller) -> None:
    await remembered(caller, "anything")
    found = await caller.call(CONFLICTS, ConflictsRequest(everything=True))
    assert (found.open, found.conflicts) == (0, [])
    for operation in (
        caller.call(CONFLICT, ConflictRequest(key="0123456789")),
        caller.call(RESOLVE, ResolveRequest(key="0123456789", keep="shown")),
        caller.call(REOPEN, ReopenRequest(key="0123456789")),
    ):
        with pytest.raises(UsageError, match="No conflict"):
            await operation


@pytest.mark.parametrize(
    "request_",
    [
        ResolveRequest(key="0123"),
        ResolveRequest(key="0123", keep="shown", text="x"),
        ResolveRequest(key="0123", keep="mine"),
    ],
)
async def test_a_choice_is_exactly_one(caller: Caller, request_: ResolveRequest) -> None:
    with pytest.raises(UsageError, match="what is to stand"):
        await caller.call(RESOLVE, request_)


@pytest.mark.parametrize("limit", [0, -1, 10_001])
async def test_a_log_and_a_list_are_bounded(caller: Caller, limit: int) -> None:
    with pytest.raises(UsageError, match="between 1 and"):
        await caller.call(LOG, LogRequest(limit=limit))
    with pytest.raises(UsageError, match="between 1 and"):
        await caller.call(CONFLICTS, ConflictsRequest(limit=limit))
