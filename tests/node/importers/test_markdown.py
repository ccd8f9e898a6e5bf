"""Notes in Markdown: what of their front matter is understood, and that nothing of them is lost."""

from pathlib import Path

import pytest

from node.importers.front_matter import split_front_matter
from node.importers.json_records import Unreadable
from node.repositories.memories import Memories, Memory
from tests.support.importing import FIXTURES, everything, import_records, read_records, zipped
from tests.support.scratch_store import Scratch, scratch_store

VAULT = FIXTURES / "vault"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return scratch_store(tmp_path)


def notes(scratch: Scratch) -> dict[str | None, Memory]:
    return {memory.title: memory for memory in Memories(scratch.store, scratch.clock).recent(limit=100)}


def test_a_vault_becomes_notes_and_its_programs_folders_do_not(scratch: Scratch) -> None:
    import_records(scratch.store, VAULT)
    found = notes(scratch)
    assert set(found) == {"2024-05-01", "Boathouse: plans", "Loose note", "Rule"}
    daily = found["2024-05-01"]
    assert daily.tags == ("house/boat", "journal")
    assert daily.created_at == "2024-05-01T07:30:00.000Z"
    assert daily.metadata == {
        "path": "Daily/2024-05-01.md",
        "mood": "calm",
        "rating": 4,
        "version": "1.10",
        "draft": False,
        "links": ["[[Boathouse]]"],
        "weather": {"wind": "NW", "knots": 12.5},
    }
    boathouse = found["Boathouse: plans"]
    assert (boathouse.kind, boathouse.importance, boathouse.tags) == ("insight", 8, ("building", "wood"))
    assert boathouse.updated_at == "2025-02-03T09:00:00.000Z"
    assert boathouse.metadata == {"aliases": ["Naust"], "path": "Places/Boathouse.md"}


def test_the_text_of_a_note_is_kept_to_the_byte(scratch: Scratch) -> None:
    import_records(scratch.store, VAULT)
    found = notes(scratch)
    for title, file in (("2024-05-01", "Daily/2024-05-01.md"), ("Boathouse: plans", "Places/Boathouse.md")):
        written = (VAULT / file).read_bytes().decode()
        assert written.endswith(found[title].content)
        assert found[title].content not in ("", written)
    assert found["Loose note"].content == (VAULT / "Loose note.markdown").read_text()
    assert found["Rule"].content == (VAULT / "Rule.md").read_text()


def test_an_archive_of_a_vault_gives_the_same_rows(tmp_path: Path) -> None:
    assert read_records(zipped(VAULT, tmp_path / "vault.zip")) == read_records(VAULT)


def test_importing_twice_changes_nothing_and_a_changed_note_is_another(scratch: Scratch, tmp_path: Path) -> None:
    import_records(scratch.store, VAULT)
    before = everything(scratch.store)
    assert import_records(scratch.store, VAULT).added_by_table.total() == 0
    assert everything(scratch.store) == before
    changed = tmp_path / "Rule.md"
    changed.write_text((VAULT / "Rule.md").read_text() + "And more.\n")
    assert import_records(scratch.store, changed).added_by_table["memories"] == 1


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        (b"---\na: [\n---\nx", "bad.md", "no YAML, line 3"),
        (b"---\na: &x [1]\nb: *x\n---\n", "bad.md", "alias"),
        (b"---\na: !!python/name:os.system\n---\n", "bad.md", "could not determine a constructor"),
        (b"---\na: \x07\n---\n", "bad.md", "no YAML"),
        (b"fine\nGr\xfc\xdfe", "bad.md, line 2", "not UTF-8"),
        (b"x" * (2 * 1024 * 1024 + 1), "bad.md", "content has 2,097,153 characters"),
        (b"x" * (9 * 1024 * 1024), "bad.md", "larger than 8 MiB"),
        (b"---\nnuthatch: person\nid: x\n---\n", "bad.md", "only memories come back"),
        (b"---\nnuthatch: memory\nid: x\n---\n", "bad.md", "not an id"),
    ],
)
def test_a_bad_note_is_left_out_and_the_others_are_read(
    tmp_path: Path, content: bytes, place: str, problem: str
) -> None:
    (tmp_path / "bad.md").write_bytes(content)
    (tmp_path / "good.md").write_text("good")
    _, rows, left_out = read_records(tmp_path)
    assert [one.place for one in left_out] == [place]
    assert problem in left_out[0].problem
    assert [row.cells["content"] for row in rows] == ["good"]


def test_words_that_yaml_takes_for_something_else_stay_words() -> None:
    fields, _ = split_front_matter("---\nno: no\ny: 1:30\nz: 0x1f\nd: 2024-01-01\nbig: 12345678901234567890\n---\n")
    assert fields == {"no": "no", "y": "1:30", "z": "0x1f", "d": "2024-01-01", "big": "12345678901234567890"}


def test_front_matter_that_unfolds_without_measure_is_refused() -> None:
    with pytest.raises(Unreadable, match="nested too deeply"):
        split_front_matter("---\n" + "[" * 3_000 + "]" * 3_000 + "\n---\n")
