"""The repository of people on a real store."""

from pathlib import Path

import pytest

from crdt.identifiers import RowId
from node.errors import UsageError
from node.repositories.memories import Memories, NewMemory
from node.repositories.people import NewPerson, People, PersonEdit
from tests.support.scratch_store import Scratch, scratch_store

NOBODY = RowId(bytes(16))


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


@pytest.fixture
def people(scratch: Scratch) -> People:
    return People(scratch.store, scratch.clock)


def test_people_are_found_by_name_and_alias(people: People) -> None:
    ada = people.add(NewPerson(name="Ada", aliases=("Mum", "Adelheid"), relation="mother", birthday="--05-21"))
    other = people.add(NewPerson(name="ada"))
    assert [person.id for person in people.named("ADA")] == [ada, other]
    assert [person.id for person in people.named("mum")] == [ada]
    assert people.named("nobody") == []
    found = people.get(ada)
    assert found is not None
    assert (found.relation, found.birthday, found.aliases, found.is_self) == (
        "mother",
        "--05-21",
        ("Adelheid", "Mum"),
        False,
    )


def test_the_owner_comes_first_and_then_the_closest(people: People) -> None:
    for name, closeness in (("Zoe", 0.9), ("Bo", None), ("Cy", 0.1)):
        people.add(NewPerson(name=name, closeness=closeness))
    people.add(NewPerson(name="Me", is_self=True))
    assert [person.name for person in people.all()] == ["Me", "Zoe", "Cy", "Bo"]


def test_a_relationship_exists_once_and_is_seen_from_both_ends(people: People, scratch: Scratch) -> None:
    ada, bo = people.add(NewPerson(name="Ada")), people.add(NewPerson(name="Bo"))
    row_id = people.relate(ada, "parent", bo)
    assert people.relate(ada, "parent", bo, notes="adopted") == row_id
    assert people.relationships(ada) == people.relationships(bo)
    (relationship,) = people.relationships(bo)
    assert (relationship.person_id, relationship.kind, relationship.notes) == (ada, "parent", "adopted")
    assert people.relate(bo, "parent", ada) != row_id
    with pytest.raises(UsageError, match="no person"):
        people.relate(ada, "friend", NOBODY)


def test_forgetting_a_person_takes_relationships_and_keeps_memories(people: People, scratch: Scratch) -> None:
    ada, bo = people.add(NewPerson(name="Ada")), people.add(NewPerson(name="Bo"))
    people.relate(bo, "friend", ada)
    memory = Memories(scratch.store, scratch.clock).remember(NewMemory(content="likes tea", person_id=ada))
    assert people.forget(ada)
    assert not people.forget(ada)
    assert people.relationships(bo) == []
    kept = Memories(scratch.store, scratch.clock).get(memory)
    assert kept is not None
    assert kept.person_id is None


def test_an_edit_changes_what_is_given(people: People) -> None:
    ada = people.add(NewPerson(name="Ada", notes="n"))
    assert people.edit(ada, PersonEdit(pronouns="she", aliases=("A",)))
    people.record_contact(ada)
    found = people.get(ada)
    assert found is not None
    assert (found.name, found.notes, found.pronouns, found.aliases) == ("Ada", "n", "she", ("A",))
    assert found.last_contact_at is not None
    assert not people.edit(NOBODY, PersonEdit(name="x"))
    with pytest.raises(UsageError):
        people.edit(ada, PersonEdit(name=" "))
