"""Stamps of cells are kept once each, by the number of their origin, and come back as they were."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdt.identifiers import SEQUENCE_MAX, STAMP_BYTES, Origin, Stamp, make_stamp
from node.store.database import Database
from node.store.origins import Origins
from node.store.row_state import split_cells
from node.store.schema_registry import create_internal_tables
from node.store.stamps_at_rest import gather_stamps, spread_stamps
from tests.support.realm import Replica, insert_item, row_id

KEY = bytes(range(32))
ORIGINS = tuple(Origin(bytes([number]) * 40) for number in range(3))


@pytest.fixture
def origins(tmp_path: Path) -> Iterator[Origins]:
    database = Database(tmp_path / "store.db", KEY)
    database.begin()
    create_internal_tables(database)
    yield Origins(database)
    database.rollback()
    database.close()


STAMPS = st.builds(make_stamp, st.integers(0, 2**64 - 1), st.sampled_from(ORIGINS), st.integers(1, SEQUENCE_MAX))


@given(stamp_by_column=st.dictionaries(st.text(max_size=9), STAMPS | st.just(make_stamp(7, ORIGINS[0], 1))))
@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_stamp_comes_back(origins: Origins, stamp_by_column: dict[str, Stamp]) -> None:
    gathered = gather_stamps(stamp_by_column, origins)
    assert len(gathered) == len(set(stamp_by_column.values()))
    assert spread_stamps(gathered, origins) == stamp_by_column


def test_a_number_that_no_origin_has_is_noticed(origins: Origins) -> None:
    with pytest.raises(LookupError):
        spread_stamps([(1, 9, 1, ["title"])], origins)


def test_an_edit_of_many_columns_lets_a_row_grow_by_one_stamp(here: Replica) -> None:
    here.write(insert_item(1, title="a"))
    here.write("UPDATE drill_items SET title = 'b', rating = 1.5, seen_at = '2026'")
    ((cells,),) = here.query("SELECT cells FROM _row_drill_items WHERE id = ?", row_id(1))
    assert isinstance(cells, bytes)
    assert [names for _, _, _, names in split_cells(cells).stamps] == [["rating", "seen_at", "title"]]
    assert len(cells) < STAMP_BYTES
