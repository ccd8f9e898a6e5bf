"""The oracle itself: the documented rules on histories small enough to check by hand."""

from node.store.schema import Table
from simulations.oracle.fold import fold
from simulations.oracle.history import CellChange, Change, Count, Members, Version, Write
from simulations.world.plan import TABLES

ITEMS: Table = TABLES["drill_items"]
KEY = ("drill_items", bytes(16))
A, B = b"a" * 40, b"b" * 40


def _change(version: Version, generation: int = 1, deps: dict[bytes, int] | None = None, **cells: CellChange) -> Change:
    return Change(key=KEY, generation=generation, version=version, deps=deps or {}, cells=cells)


BORN = _change(
    Version(1, A, 1),
    title=Write("first"),
    tags=Members(frozenset({"red"}), frozenset()),
    uses=Count(2),
    kind=Write("k"),
)


def test_the_greater_stamp_wins_an_lww_cell_and_the_origin_breaks_a_tie() -> None:
    mine, yours = _change(Version(5, A, 2), title=Write("a")), _change(Version(5, B, 1), title=Write("b"))
    assert fold(ITEMS, [BORN, yours, mine]).cells["title"] == "b"


def test_a_delete_beats_an_edit_with_a_later_stamp_and_an_insert_after_it_beats_the_delete() -> None:
    deleted, edited = _change(Version(2, A, 2), generation=2), _change(Version(9, B, 1), title=Write("late"))
    assert not fold(ITEMS, [BORN, deleted, edited]).alive
    reborn = _change(Version(3, A, 3), generation=3, title=Write("again"))
    row = fold(ITEMS, [BORN, deleted, edited, reborn])
    assert (row.alive, row.cells["title"], row.cells["uses"]) == (True, "again", 0)


def test_an_add_that_a_remover_had_not_seen_survives_the_removal() -> None:
    readded = _change(Version(4, B, 1), tags=Members(frozenset({"red"}), frozenset()))
    removed = _change(Version(5, A, 2), tags=Members(frozenset(), frozenset({(BORN.version, "red")})))
    assert fold(ITEMS, [BORN, removed]).cells["tags"] == frozenset()
    assert fold(ITEMS, [BORN, removed, readded]).cells["tags"] == frozenset({"red"})


def test_counters_add_up_and_maxima_keep_the_greatest() -> None:
    mine = _change(Version(4, A, 2), uses=Count(3), best=Write(2.5))
    yours = _change(Version(5, B, 1), uses=Count(-1), best=Write(1.0))
    row = fold(ITEMS, [BORN, mine, yours])
    assert (row.cells["uses"], row.cells["best"]) == (4, 2.5)


def test_an_immutable_cell_shows_the_least_stamp() -> None:
    other = _change(Version(9, B, 1), kind=Write("other"))
    assert fold(ITEMS, [other, BORN]).cells["kind"] == "k"
