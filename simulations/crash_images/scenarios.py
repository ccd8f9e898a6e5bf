"""What is done while the power may fail: each scenario a few steps, each step one thing that a node acknowledges."""

from collections.abc import Callable
from dataclasses import replace

from node.store.schema import Column, Component, Migration, Table
from simulations.crash_images.device import Device
from simulations.crash_images.directory import files_in, write_files
from simulations.crash_images.scenario import Material, Scenario, Step
from simulations.workloads.component import DRILL
from sync.snapshot import RowKey
from sync.streams import Stream

_STREAM = Stream.FILES
_PAGE_BYTES = 700


def _item(number: int, title: str, **more: str) -> str:
    columns = "".join(f", {name}" for name in more)
    values = "".join(f", {value}" for value in more.values())
    return f"INSERT INTO drill_items (id, title{columns}) VALUES (x'{number:032x}', '{title}'{values})"


def _comment(number: int, item: int, text: str) -> str:
    return f"INSERT INTO drill_comments (id, item_id, text) VALUES (x'{number:032x}', x'{item:032x}', '{text}')"


def _of(number: int) -> str:
    return f"WHERE id = x'{number:032x}'"


def _write(*statements: str) -> Callable[[Device, Material], None]:
    """Return the step that runs statements in one transaction."""
    return lambda device, _: device.write(*statements)


def _insert_many(first: int, count: int) -> Callable[[Device, Material], None]:
    def run(device: Device, _: Material) -> None:
        rows = [(number.to_bytes(16, "big"), f"bulk {number}", "words " * 20) for number in range(first, first + count)]
        with device.store.transaction() as transaction:
            transaction.insert_rows("drill_items", ("id", "title", "body"), rows)

    return run


def _checkpoint(device: Device, _: Material) -> None:
    device.store.checkpoint()


def _reopen(device: Device, _: Material) -> None:
    """Close the store in good order and open it again, or open it for the first time."""
    device.close()
    device.open()


def _receive(start: int, end: int) -> Callable[[Device, Material], None]:
    return lambda device, material: device.receive(material.batches[start:end])


def _join(start: int, end: int | None) -> Callable[[Device, Material], None]:
    def run(device: Device, material: Material) -> None:
        assert material.manifest is not None
        assert material.sender is not None
        for raw in material.pages[start:end]:
            device.store.apply_page(raw, material.manifest, material.sender, device.realm.roster)

    return run


def _adopt(device: Device, material: Material) -> None:
    """Adopt as a session does: one that begins after a restart sends the last page anew before it ends the snapshot."""
    assert material.manifest is not None
    _join(-1, None)(device, material)
    device.store.adopt_snapshot(material.manifest)


def _some_rows(device: Device, _: Device) -> Material:
    device.write(_item(1, "first", tags="'[\"a\"]'", uses="1"), _item(2, "second"), _comment(50, 1, "on the first"))
    device.write(f"UPDATE drill_items SET body = 'a body' {_of(1)}")
    return Material()


def _peer_ahead(device: Device, peer: Device) -> Material:
    """Let the peer build on what the device wrote, delete and edit some of it, and write rows of its own."""
    _some_rows(device, peer)
    peer.receive(device.batches(_STREAM))
    peer.write(_item(10, "of the peer"), _comment(52, 1, "of the peer"))
    peer.write("UPDATE drill_items SET title = title || ' (seen)', uses = uses + 5")
    peer.write(f"DELETE FROM drill_items {_of(2)}", _item(11, "more"))
    for number in range(12, 20):
        peer.write(_item(number, f"number {number}", body="'some words to find'"))
    peer.write(f"DELETE FROM drill_comments {_of(52)}")
    own = len(device.batches(_STREAM))
    manifest = peer.store.snapshot_manifest(_STREAM)
    pages: list[bytes] = []
    cursor: RowKey | None = None
    while not pages or cursor is not None:
        page = peer.store.read_page(manifest, len(pages), cursor, _PAGE_BYTES)
        pages.append(page.raw)
        cursor = page.next_cursor
    assert len(pages) > 2, len(pages)
    return Material(batches=peer.batches(_STREAM)[own:], manifest=manifest, pages=pages, sender=peer.device_id)


def _set_back(device: Device, peer: Device) -> Material:
    """Put device and mark back together, as a virtual machine's snapshot does, after the peer had received more."""
    _some_rows(device, peer)
    device.close()
    files = files_in(device.folder)
    device.open()
    known = len(device.batches(_STREAM))
    device.write(_item(4, "lost"), _comment(53, 1, "lost"))
    device.write(f'UPDATE drill_items SET uses = uses + 10, tags = \'["a","lost"]\' {_of(1)}')
    lost = device.batches(_STREAM)[known:]
    device.close()
    write_files(device.folder, files)
    device.open()
    device.write(_item(5, "after"), f"UPDATE drill_items SET uses = uses + 100 {_of(1)}")
    device.write(f"DELETE FROM drill_items {_of(2)}")
    return Material(batches=lost, evidence=lost[0])


def _settle_fork(device: Device, material: Material) -> None:
    assert device.store.chains.settle_fork(material.evidence, device.realm.roster)


def _take_out(device: Device, _: Material) -> None:
    device.store.take_out({"drill_items": [number.to_bytes(16, "big") for number in (1, 12)]})


_NOTES = (
    Component(
        name="drill",
        version=1,
        kind="plugin",
        priority=100,
        tables=(
            Table(
                name="drill_notes",
                stream=_STREAM,
                columns=(
                    Column(name="body", type="TEXT", strategy="text", default="''"),
                    Column(name="more", type="TEXT", strategy="document"),
                ),
                full_text=("body",),
            ),
        ),
    ),
)


def _many_edits(device: Device, peer: Device) -> Material:
    """Edit a text many times, and let the peer edit it apart."""
    device.write(f"INSERT INTO drill_notes (id, body, more) VALUES (x'{1:032x}', 'a text', '{{\"a\":1}}')")
    device.write(f"INSERT INTO drill_notes (id, body) VALUES (x'{2:032x}', 'another text')")
    for number in range(29):
        device.write(f"UPDATE drill_notes SET body = body || ' {number}' {_of(1)}")
    peer.receive(device.batches(_STREAM))
    known = len(peer.batches(_STREAM))
    for number in range(4):
        peer.write(f"UPDATE drill_notes SET body = 'peer {number} ' || body, more = '{{\"c\":{number}}}'")
    return Material(batches=peer.batches(_STREAM)[known:])


def _edit(words: str) -> Callable[[Device, Material], None]:
    return _write(f"UPDATE drill_notes SET body = body || '{words}'")


def _receive_notes(device: Device, material: Material) -> None:
    device.receive(material.batches)


def _compact(batches_max: int) -> Callable[[Device, Material], None]:
    def run(device: Device, _: Material) -> None:
        stable = {stream: state.frontier for stream, state in device.store.view().streams.items()}
        assert device.store.compact(stable, batches_max)

    return run


def _maintain(device: Device, _: Material) -> None:
    while device.store.maintain():
        continue


def _with_mood() -> Component:
    items = DRILL.tables[1]
    mood = Column(name="mood", type="TEXT", strategy="lww")
    tables = tuple(
        replace(table, columns=(*table.columns, mood)) if table is items else table for table in DRILL.tables
    )
    up = ("ALTER TABLE drill_items ADD COLUMN mood TEXT", "CREATE INDEX drill_items_by_mood ON drill_items (mood)")
    step = Migration(version=2, description="moods", up=up, down=())
    return replace(DRILL, version=2, tables=tables, migrations=(step,))


_NEXT = (_with_mood(),)
_OTHER_WRITE = _write(f"UPDATE drill_items SET rating = 2.5, uses = uses - 1 {_of(1)}")

LOCAL = Scenario(
    name="local",
    prepare=_some_rows,
    steps=(
        Step(says="insert", run=_write(_item(3, "third"), _comment(51, 3, "on the third"))),
        Step(
            says="update in two streams",
            run=_write(
                "UPDATE drill_items SET title = title || '!', uses = uses + 1",
                f"INSERT INTO drill_settings (id, key, value) VALUES (x'{70:032x}', 'colour', 'green')",
            ),
        ),
        Step(says="delete with what hangs on it", run=_write(f"DELETE FROM drill_items {_of(1)}")),
        Step(says="insert again", run=_write(_item(1, "reborn", tags="'[\"b\"]'"))),
        Step(says="move the log into the file", run=_checkpoint),
        Step(says="write over the old log", run=_write(f"UPDATE drill_items SET body = 'found later' {_of(2)}")),
        Step(says="close and open", run=_reopen, commits_once=False),
        Step(says="many rows", run=_insert_many(100, 12)),
    ),
)

SMALL_CACHE = Scenario(
    name="small-cache",
    prepare=_some_rows,
    # Pages that were not committed spill into the log, and commits move it into the file.
    pragmas=("PRAGMA cache_size=8", "PRAGMA cache_spill=8", "PRAGMA wal_autocheckpoint=12"),
    steps=(
        Step(says="many rows", run=_insert_many(100, 60)),
        Step(says="edit all", run=_write("UPDATE drill_items SET body = body || ' more', uses = uses + 1")),
        Step(says="delete most", run=_write("DELETE FROM drill_items WHERE title LIKE 'bulk%5'")),
        Step(says="insert again", run=_insert_many(200, 20)),
    ),
)

RECEIVED = Scenario(
    name="received",
    prepare=_peer_ahead,
    steps=(
        Step(says="first batches", run=_receive(0, 2)),
        Step(says="a write between", run=_OTHER_WRITE),
        Step(says="the rest", run=_receive(2, 50)),
        Step(says="all once more", run=_receive(0, 50)),
        Step(says="move the log into the file", run=_checkpoint),
        Step(says="a write after", run=_OTHER_WRITE),
    ),
)

SNAPSHOT = Scenario(
    name="snapshot",
    prepare=_peer_ahead,
    steps=(
        Step(says="first page", run=_join(0, 1)),
        Step(says="a write between", run=_OTHER_WRITE),
        Step(says="second page", run=_join(1, 2)),
        Step(says="the other pages", run=_join(2, None), commits_once=False),
        Step(says="adopt", run=_adopt, commits_once=False),
        Step(says="a write after", run=_OTHER_WRITE),
    ),
)

CREATION = Scenario(
    name="creation",
    prepare=lambda _, __: Material(),
    created=False,
    steps=(
        Step(says="create", run=_reopen, commits_once=False),
        Step(says="first write", run=_write(_item(1, "first"), _comment(50, 1, "on the first"))),
        Step(says="close and open", run=_reopen, commits_once=False),
    ),
)

MIGRATION = Scenario(
    name="migration",
    prepare=_some_rows,
    steps=(
        Step(says="a write under the old version", run=_OTHER_WRITE),
        Step(says="start the new version", run=_reopen, components=_NEXT, commits_once=False),
        Step(says="a write of the new version", run=_write("UPDATE drill_items SET mood = 'calm'"), components=_NEXT),
    ),
)

FORGETTING = Scenario(
    name="forgetting",
    prepare=_peer_ahead,
    # History says nothing more after 90 days.
    step_milliseconds=40 * 86_400_000,
    steps=(
        Step(says="edit", run=_write("UPDATE drill_items SET title = 'secret', body = 'secret'")),
        Step(says="batches of the peer", run=_receive(0, 50)),
        Step(says="forget", run=_write(f"DELETE FROM drill_items {_of(1)}", f"DELETE FROM drill_items {_of(10)}")),
        Step(says="take the words out of the log", run=_maintain, commits_once=False),
        Step(says="insert again", run=_write(_item(1, "reborn"))),
        Step(says="let history age", run=_maintain, commits_once=False),
    ),
)

COMPACTION = Scenario(
    name="compaction",
    prepare=_peer_ahead,
    steps=(
        Step(says="batches of the peer", run=_receive(0, 50)),
        Step(says="drop a few batches", run=_compact(3)),
        Step(says="a write between", run=_OTHER_WRITE),
        Step(says="drop the rest", run=_compact(100)),
        Step(says="all once more", run=_receive(0, 50)),
        Step(says="close and open", run=_reopen, commits_once=False),
        Step(says="a write after", run=_OTHER_WRITE),
    ),
)

FORK = Scenario(
    name="fork",
    prepare=_set_back,
    steps=(
        Step(says="write the end of the chain again", run=_settle_fork),
        Step(says="the lost end", run=_receive(0, 50)),
        Step(says="a write after", run=_OTHER_WRITE),
        Step(says="close and open", run=_reopen, commits_once=False),
    ),
)

REPAIR = Scenario(
    name="repair",
    prepare=_peer_ahead,
    steps=(
        Step(says="batches of the peer", run=_receive(0, 50)),
        Step(says="take damaged rows out", run=_take_out),
        Step(says="the rows of the peer", run=_join(0, None), commits_once=False),
        Step(says="a write after", run=_OTHER_WRITE),
    ),
)

TEXTS = Scenario(
    name="texts",
    prepare=_many_edits,
    steps=(
        Step(says="edit", run=_edit(" and one more"), components=_NOTES),
        Step(says="the peer's edits, and the changes become one document", run=_receive_notes, components=_NOTES),
        Step(says="edit the document", run=_edit(" and more words"), components=_NOTES),
        Step(says="edit the settings", run=_write("UPDATE drill_notes SET more = '{\"b\":2}'"), components=_NOTES),
        Step(says="close and open", run=_reopen, components=_NOTES, commits_once=False),
        Step(says="the peer's edits once more", run=_receive_notes, components=_NOTES),
        Step(says="forget", run=_write(f"DELETE FROM drill_notes {_of(1)}"), components=_NOTES),
        Step(says="take the words out of the log", run=_maintain, components=_NOTES, commits_once=False),
    ),
)

SCENARIOS = (LOCAL, SMALL_CACHE, RECEIVED, SNAPSHOT, CREATION, MIGRATION, FORGETTING, COMPACTION, FORK, REPAIR, TEXTS)
