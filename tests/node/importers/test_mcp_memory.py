"""The MCP memory server's graph: in, out again unchanged, and out as it is now where something changed."""

import json
from pathlib import Path

import pytest

from node.exporters.mcp_memory import graph_lines
from node.repositories.memories import Memories, MemoryEdit, MemoryFilter, NewMemory
from node.repositories.people import NewPerson, People, PersonEdit
from node.search.recall import Recall
from tests.support.importing import FIXTURES, everything, import_records, read_records
from tests.support.scratch_store import Scratch, scratch_store

GRAPH, FORK = FIXTURES / "memory.jsonl", FIXTURES / "memory_of_a_fork.jsonl"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


def graph_of(scratch: Scratch) -> str:
    return "".join(graph_lines(scratch.store))


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.split("\n") if line]


def test_what_the_server_wrote_goes_out_byte_by_byte_as_it_came(scratch: Scratch) -> None:
    import_records(scratch.store, GRAPH)
    assert graph_of(scratch) == GRAPH.read_text()


def test_the_fields_that_forks_add_go_out_too(scratch: Scratch) -> None:
    import_records(scratch.store, FORK)
    assert objects(graph_of(scratch)) == objects(FORK.read_text())


def test_people_are_people_and_what_is_known_of_them_is_found(scratch: Scratch) -> None:
    import_records(scratch.store, GRAPH)
    (sigrid,) = People(scratch.store, scratch.clock).named("sigrid")
    known = Memories(scratch.store, scratch.clock).recent(MemoryFilter(person_id=sigrid.id))
    assert {memory.content for memory in known} == {
        "Lives in Bergen", "Is allergic to shellfish", "Prefers short answers 🙂", "Sigrid owns Boathouse",
    }  # fmt: skip
    assert Recall(scratch.store).search("where does Tor work", limit=1)[0].text.endswith("Tor works_at Hansa Bryggeri")


def test_the_answer_of_read_graph_gives_the_same_rows_as_the_file(tmp_path: Path) -> None:
    lines = objects(GRAPH.read_text())
    graph = {
        "entities": [{key: line[key] for key in line if key != "type"} for line in lines if line["type"] == "entity"],
        "relations": [{key: line[key] for key in line if key != "type"} for line in lines if line["type"] != "entity"],
    }
    file = tmp_path / "graph.json"
    file.write_text(json.dumps(graph, indent=2))
    assert {row.id for row in read_records(file)[1]} == {row.id for row in read_records(GRAPH)[1]}


def test_a_graph_that_grew_adds_only_what_is_new(scratch: Scratch, tmp_path: Path) -> None:
    import_records(scratch.store, GRAPH)
    lines = objects(GRAPH.read_text())
    observations = lines[0]["observations"]
    assert isinstance(observations, list)
    observations.insert(1, "Plays the fiddle")
    file = tmp_path / "memory.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert dict(import_records(scratch.store, file).added_by_table) == {"memories": 1}
    told = objects(graph_of(scratch))[0]["observations"]
    assert isinstance(told, list)
    assert sorted(told) == sorted(observations)


def test_what_changed_here_goes_out_as_it_is_now(scratch: Scratch) -> None:
    import_records(scratch.store, GRAPH)
    people, memories = People(scratch.store, scratch.clock), Memories(scratch.store, scratch.clock)
    people.edit(people.named("Tor")[0].id, PersonEdit(name="Tor Arne"))
    by_content = {memory.content: memory for memory in memories.recent(limit=100)}
    memories.forget(by_content["Lives in Bergen"].id)
    memories.edit(by_content["Is allergic to shellfish"].id, MemoryEdit(content="Is allergic to mussels"))
    memories.edit(by_content["place"].id, MemoryEdit(title="Naust", content="building"))
    memories.edit(by_content["Tor works_at Hansa Bryggeri"].id, MemoryEdit(content="Tor left the brewery"))
    told = objects(graph_of(scratch))
    assert told[0] == {
        "type": "entity",
        "name": "Sigrid",
        "entityType": "person",
        "observations": ["Is allergic to mussels", "Prefers short answers 🙂"],
    }
    assert told[1] == {
        "type": "entity",
        "name": "Naust",
        "entityType": "building",
        "observations": ["The sill beam was replaced in 2024"],
    }
    assert told[2]["name"] == "Tor Arne"
    assert told[2]["observations"] == ["Tor left the brewery"]
    relations = [(line["from"], line["relationType"], line["to"]) for line in told if line["type"] == "relation"]
    assert relations == [("Sigrid", "owns", "Naust"), ("Tor Arne", "brother_of", "Sigrid")]


def test_what_never_was_in_a_graph_goes_out_as_one(scratch: Scratch) -> None:
    people, memories = People(scratch.store, scratch.clock), Memories(scratch.store, scratch.clock)
    ada = people.add(NewPerson(name="Ada", relation="sister", aliases=("Addie",), notes="Hates coriander."))
    bo = people.add(NewPerson(name="Bo"))
    people.relate(ada, "married to", bo)
    memories.remember(NewMemory(content="Sings alto", person_id=ada))
    memories.remember(NewMemory(content="Bins go out on Tuesday"))
    memories.remember(NewMemory(content="Deploy on Fridays never", namespace="work"))
    assert objects(graph_of(scratch)) == [
        {
            "type": "entity",
            "name": "Ada",
            "entityType": "person",
            "observations": ["Also called Addie", "Relation: sister", "Hates coriander.", "Sings alto"],
        },
        {"type": "entity", "name": "Bo", "entityType": "person", "observations": []},
        {"type": "entity", "name": "memories", "entityType": "memories", "observations": ["Bins go out on Tuesday"]},
        {
            "type": "entity",
            "name": "memories/work",
            "entityType": "memories",
            "observations": ["Deploy on Fridays never"],
        },
        {"type": "relation", "from": "Ada", "to": "Bo", "relationType": "married to"},
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"type":"entity","name":"x"', "not valid JSON"),
        ('{"type":"entity","name":"x","entityType":"y","observations":"z"}', "Expected array, got str"),
        ('{"type":"relation","from":"x","to":"y"}', "relationType"),
        ('{"type":"note"}', "neither entity nor relation"),
        ('{"type":"entity","name":" ","entityType":"y","observations":[]}', "no name"),
        ('{"type":"entity","name":"x","entityType":"y","observations":[{"id":1}]}', "neither a text nor an object"),
    ],
)
def test_a_bad_line_costs_only_itself(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "memory.jsonl"
    lines = [text + "\n" for text in GRAPH.read_text().split("\n")[:-1]]
    file.write_text("".join((*lines[:2], line + "\n", *lines[2:])))
    _, rows, left_out = read_records(file)
    assert [one.place for one in left_out] == ["memory.jsonl, line 3"]
    assert problem in left_out[0].problem
    assert left_out[0].content == line.encode()
    assert len(rows) == len(read_records(GRAPH)[1])


def test_importing_twice_changes_nothing(scratch: Scratch) -> None:
    import_records(scratch.store, GRAPH)
    before = everything(scratch.store)
    assert import_records(scratch.store, GRAPH).added_by_table.total() == 0
    assert everything(scratch.store) == before
