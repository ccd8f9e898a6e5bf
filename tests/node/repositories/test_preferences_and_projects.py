"""The repositories of preferences and projects on a real store."""

from pathlib import Path

import pytest

from crdt.identifiers import RowId
from node.errors import UsageError
from node.repositories.conversation_records import NewConversation, NewMessage
from node.repositories.conversations import Conversations
from node.repositories.memories import Memories, NewMemory
from node.repositories.preferences import Preferences, preference_id
from node.repositories.projects import NewProjectFile, ProjectEdit, ProjectFileEdit, Projects
from tests.support.scratch_store import Scratch, scratch_store

NOBODY = RowId(bytes(16))


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


@pytest.fixture
def preferences(scratch: Scratch) -> Preferences:
    return Preferences(scratch.store, scratch.clock)


@pytest.fixture
def projects(scratch: Scratch) -> Projects:
    return Projects(scratch.store, scratch.clock)


def test_a_preference_holds_any_json_value(preferences: Preferences) -> None:
    for value in (True, None, 1.5, "x", [1, {"a": None}], {"b": "ä"}):
        preferences.set("key", value)
        found = preferences.get("key")
        assert found is not None
        assert found.value == value
    with pytest.raises(UsageError):
        preferences.set("key", object())
    with pytest.raises(UsageError):
        preferences.set("key", float("nan"))


def test_two_devices_give_a_preference_the_same_id(tmp_path: Path) -> None:
    ids = set()
    for seed in (1, 2):
        scratch = scratch_store(tmp_path, seed)
        ids.add(Preferences(scratch.store, scratch.clock).set("language", f"value {seed}"))
    assert ids == {preference_id("person", "language")}
    assert preference_id("a", "bc") != preference_id("ab", "c")


def test_setting_the_same_value_again_writes_nothing(preferences: Preferences, scratch: Scratch) -> None:
    preferences.set("theme", {"dark": True})
    before = scratch.store.view()
    preferences.set("theme", {"dark": True})
    assert scratch.store.view() == before


def test_an_unset_preference_can_be_set_again(preferences: Preferences) -> None:
    preferences.set("theme", "dark", scope="app:editor")
    assert preferences.get("theme") is None
    assert preferences.unset("theme", scope="app:editor")
    assert not preferences.unset("theme", scope="app:editor")
    preferences.set("theme", "light", scope="app:editor")
    assert [(one.scope, one.key, one.value) for one in preferences.all()] == [("app:editor", "theme", "light")]
    assert preferences.all(scope="person") == []


@pytest.mark.parametrize(("scope", "key"), [("", "k"), ("s", ""), ("s\x1fk", "x"), ("s", "a\nb")])
def test_a_name_that_could_be_taken_for_another_is_refused(preferences: Preferences, scope: str, key: str) -> None:
    with pytest.raises(UsageError):
        preferences.set(key, 1, scope=scope)


def test_a_project_is_listed_with_what_belongs_to_it(projects: Projects, scratch: Scratch) -> None:
    project = projects.create("Nest", description="d", settings={"a": 1})
    conversations = Conversations(scratch.store, scratch.clock)
    talk = conversations.begin(NewConversation(project_id=project))
    conversations.add_messages(talk, [NewMessage(content="1"), NewMessage(content="2")])
    for size in (10, 20):
        projects.add_file(project, NewProjectFile(filename=f"{size}.txt", size_bytes=size, content_hash=bytes(32)))
    (found,) = projects.recent()
    assert (found.conversation_count, found.message_count, found.file_count, found.file_bytes) == (1, 2, 2, 30)
    assert projects.find("Nest") == projects.get(project) == found
    assert projects.find("Other") is None


def test_forgetting_a_project_takes_its_files_and_keeps_conversations_and_memories(
    projects: Projects, scratch: Scratch
) -> None:
    project = projects.create("Nest")
    projects.add_file(project, NewProjectFile(filename="a"))
    conversations, memories = Conversations(scratch.store, scratch.clock), Memories(scratch.store, scratch.clock)
    talk = conversations.begin(NewConversation(project_id=project))
    memory = memories.remember(NewMemory(content="x", project_id=project))
    assert projects.forget(project)
    assert projects.files(project) == []
    kept_talk, kept_memory = conversations.get(talk), memories.get(memory)
    assert kept_talk is not None
    assert kept_memory is not None
    assert (kept_talk.project_id, kept_memory.project_id) == (None, None)


def test_a_file_is_processed_from_pending_to_ready(projects: Projects) -> None:
    project = projects.create("Nest")
    row_id = projects.add_file(project, NewProjectFile(filename="a.md", mime_type="text/markdown"))
    assert projects.files(project)[0].status == "pending"
    assert projects.edit_file(row_id, ProjectFileEdit(status="ready", chunk_count=3, content_hash=b"\x01" * 32))
    (ready,) = projects.files(project)
    assert (ready.status, ready.chunk_count, ready.content_hash) == ("ready", 3, b"\x01" * 32)
    assert projects.forget_file(row_id)
    assert projects.files(project) == []


def test_names_of_projects_are_given_once_here_and_edits_are_partial(projects: Projects) -> None:
    project = projects.create("Nest", description="d")
    with pytest.raises(UsageError, match="already"):
        projects.create("Nest")
    with pytest.raises(UsageError):
        projects.create(" ")
    assert projects.edit(project, ProjectEdit(name="Tree"))
    found = projects.get(project)
    assert found is not None
    assert (found.name, found.description) == ("Tree", "d")
    with pytest.raises(UsageError):
        projects.add_file(NOBODY, NewProjectFile(filename="x"))
