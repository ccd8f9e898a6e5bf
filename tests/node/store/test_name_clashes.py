"""One name on several rows: nothing is changed, every device shows the same clash and finds the same row."""

from pathlib import Path

import pytest
from rich.console import Console

from crdt.identifiers import RowId
from node.cli.conflict_rendering import render_conflicts
from node.repositories.projects import Projects
from node.requests import ConflictList, NameClashReport
from node.schemas import CORE_COMPONENTS
from node.store.name_clashes import NameClash
from simulations.kernel.clock import SkewedClock
from tests.support.realm import Realm, Replica, check_digests, open_realm, row_id


@pytest.fixture
def realm(tmp_path: Path) -> Realm:
    return open_realm(tmp_path, devices=3, components=CORE_COMPONENTS)


def project(number: int, name: str) -> tuple[str, list[object]]:
    return "INSERT INTO projects (id, name) VALUES (?, ?)", [row_id(number), name]


def found(replica: Replica, name: str) -> bytes | None:
    projects = Projects(replica.store, SkewedClock(replica.time))
    by_name = projects.find(name)
    return None if by_name is None else by_name.id


def test_projects_of_one_name_made_apart_both_stay_and_the_earlier_is_found_everywhere(realm: Realm) -> None:
    first, second, third = realm.replicas
    # The later one has the lesser id: neither id nor order of arrival decides.
    first.write(project(9, "Garden"))
    second.write(project(2, "Garden"))
    third.write(project(5, "Kitchen"))
    realm.exchange()
    for replica in realm.replicas:
        clashes = replica.store.name_clashes()
        assert clashes == [NameClash(table="projects", name=("Garden",), row_ids=(RowId(row_id(9)), RowId(row_id(2))))]
        assert found(replica, "Garden") == row_id(9)
        assert found(replica, "Kitchen") == row_id(5)
        assert found(replica, "Cellar") is None
        assert replica.query("SELECT count(*) FROM projects WHERE name = 'Garden'") == [(2,)]
        check_digests(replica)


def test_a_clash_is_gone_once_one_of_the_rows_is_renamed_or_deleted(realm: Realm) -> None:
    first, second, third = realm.replicas
    for number, replica in enumerate(realm.replicas, start=1):
        replica.write(project(number, "Garden"))
    realm.exchange()
    second.write(("UPDATE projects SET name = 'Orchard' WHERE id = ?", [row_id(1)]))
    realm.exchange()
    assert [clash.row_ids for clash in third.store.name_clashes()] == [(row_id(2), row_id(3))]
    assert found(first, "Garden") == row_id(2)
    third.write(("DELETE FROM projects WHERE id = ?", [row_id(2)]))
    realm.exchange()
    assert [replica.store.name_clashes() for replica in realm.replicas] == [[], [], []]


def test_two_projects_without_a_name_do_not_clash(realm: Realm) -> None:
    first = realm.replicas[0]
    first.write(project(1, ""), project(2, ""))
    assert first.store.name_clashes() == []


def test_the_inbox_shows_a_clash_with_the_row_that_is_found_by_name() -> None:
    clash = NameClashReport(table="projects", name="Garden", ids=["0190-a", "0190-b"])
    console = Console(width=100, no_color=True)
    with console.capture() as captured:
        console.print(render_conflicts(ConflictList(open=0, conflicts=[], name_clashes=[clash])))
    lines = captured.get().splitlines()
    assert "Garden names 2 projects" in lines[0]
    assert "0190-a  made first" in lines[1]
    assert "made first" not in lines[2]
