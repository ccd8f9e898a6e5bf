"""A member's device that signs what no honest one writes harms nobody: it is refused or held, and the rest flows."""

from collections.abc import Callable

import pytest
from msgspec.msgpack import encode

from crdt.identifiers import Origin, make_dot, make_origin
from crdt.row import GENERATION_MAX, Layout
from sync.errors import RemoteProtocolError
from sync.frontier import Dependency
from sync.streams import Stream
from tests.support.forgery import Forger, column, layout_of
from tests.support.realm import Realm, Replica, check_digests, delete_item, insert_item, row_id

ITEM = row_id(1)
TITLE, BODY, SIZE = column("title", "lww"), column("body", "lww"), column("size", "lww")
RATING, USES, TAGS = column("rating", "lww"), column("uses", "counter"), column("tags", "set")
Change = tuple[str, Layout, bytes]


def item(forger: Forger, columns: list[tuple[str, int]], *values: object, generation: object = 1) -> Change:
    return forger.change("drill_items", columns, ITEM, generation, *values)


def raw_item(columns: list[tuple[str, int]], row: bytes) -> Change:
    return "drill_items", tuple(columns), row


def dot(origin: Origin, seq: int, index: int = 0) -> bytes:
    return make_dot(origin, seq, index)


REFUSED: dict[str, Callable[[Forger, Replica], list[Change]]] = {
    "counts for another device": lambda f, v: [item(f, [USES], [[v.store.origin, 1, 0]])],
    "counts for another of its own incarnations": lambda f, v: [item(f, [USES], [[f.member.store.origin, 1, 0]])],
    "counts backwards": lambda f, v: [item(f, [USES], [[f.origin, -1, 0]])],
    "counts beyond 64 bits": lambda f, v: [item(f, [USES], [[f.origin, 2**63, 0]])],
    "counts truth values": lambda f, v: [item(f, [USES], [[f.origin, True, 0]])],
    "spells an untouched counter in a second way": lambda f, v: [item(f, [USES], [])],
    "adds with a dot of another device": lambda f, v: [item(f, [TAGS], [[[dot(v.store.origin, 1), "x"]], []])],
    "adds with a dot of another batch": lambda f, v: [item(f, [TAGS], [[[dot(f.origin, 7), "x"]], []])],
    "removes what it had not seen": lambda f, v: [item(f, [TAGS], [[], [dot(v.store.origin, 1)]])],
    "gives a dot twice": lambda f, v: [item(f, [TAGS], [[[dot(f.origin, 1), "x"], [dot(f.origin, 1), "y"]], []])],
    "gives dots out of order": lambda f, v: [
        item(f, [TAGS], [[[dot(f.origin, 1, 1), "x"], [dot(f.origin, 1, 0), "y"]], []])
    ],
    "adds and removes one dot": lambda f, v: [item(f, [TAGS], [[[dot(f.origin, 1), "x"]], [dot(f.origin, 1)]])],
    "spells an untouched set in a second way": lambda f, v: [item(f, [TAGS], [[], []])],
    "gives a short dot": lambda f, v: [item(f, [TAGS], [[[b"dot", "x"]], []])],
    "nests without end": lambda f, v: [raw_item([TAGS], b"\x93\xc4\x10" + ITEM + b"\x01" + b"\x91" * 50_000 + b"\xc0")],
    "changes a row twice": lambda f, v: [item(f, [TITLE], "a"), item(f, [TITLE], "b")],
    "changes a row twice in two layouts": lambda f, v: [item(f, [TITLE], "a"), item(f, [BODY], "b")],
    "puts a number into a text": lambda f, v: [item(f, [TITLE], 7)],
    "puts a text into a number": lambda f, v: [item(f, [SIZE], "7")],
    "puts an integer into a real": lambda f, v: [item(f, [RATING], 7)],
    "puts 65 bits into an integer": lambda f, v: [item(f, [SIZE], 2**63)],
    "puts a truth value into an integer": lambda f, v: [item(f, [SIZE], True)],
    "puts NULL where there is always a value": lambda f, v: [item(f, [TITLE], None)],
    "puts NaN": lambda f, v: [item(f, [RATING], float("nan"))],
    "puts a negative zero": lambda f, v: [item(f, [RATING], -0.0)],
    "puts a NUL into a text": lambda f, v: [item(f, [BODY], "a\0b")],
    "puts bytes that are no Unicode": lambda f, v: [raw_item([BODY], b"\x93\xc4\x10" + ITEM + b"\x01\xa1\xff")],
    "spells a number long": lambda f, v: [raw_item([SIZE], b"\x93\xc4\x10" + ITEM + b"\x01\xcd\x00\x07")],
    "leaves bytes over": lambda f, v: [raw_item([SIZE], b"\x93\xc4\x10" + ITEM + b"\x01\x07\x07")],
    "names a row by 15 bytes": lambda f, v: [f.change("drill_items", [SIZE], ITEM[:15], 1, 7)],
    "has generation 0": lambda f, v: [item(f, [SIZE], 7, generation=0)],
    "has a generation beyond all": lambda f, v: [item(f, [SIZE], 7, generation=GENERATION_MAX + 1)],
    "has fewer values than columns": lambda f, v: [item(f, [SIZE, TITLE], 7)],
    "is no row at all": lambda f, v: [raw_item([SIZE], encode("row"))],
    "puts a list into an unknown column": lambda f, v: [item(f, [column("unheard_of", "lww")], [1])],
    "puts a truth value into an unknown column": lambda f, v: [item(f, [column("unheard_of", "lww")], True)],
    "puts a NUL into an unknown column": lambda f, v: [item(f, [column("unheard_of", "lww")], "a\0b")],
    "puts a negative zero into an unknown column": lambda f, v: [item(f, [column("unheard_of", "max")], -0.0)],
    "puts too large a number into an unknown column": lambda f, v: [item(f, [column("unheard_of", "lww")], 2**63)],
    "counts for another in an unknown column": lambda f, v: [
        item(f, [column("unheard_of", "counter")], [[v.store.origin, 1, 0]])
    ],
    "comes in another stream": lambda f, v: [f.change("drill_settings", [column("value", "lww")], ITEM, 1, "x")],
}


@pytest.mark.parametrize("offence", REFUSED)
def test_a_batch_that_no_honest_device_writes_is_refused_alone(
    realm: Realm, here: Replica, there: Replica, offence: str
) -> None:
    here.write(insert_item(1, title="honest", tags='["mine"]'))
    forger = Forger(there)
    before = (here.store.view(), here.query("SELECT * FROM drill_items"))
    raw = forger.batch(REFUSED[offence](forger, here))
    there.write(insert_item(2, title="also honest"))
    report = here.receive([raw, *there.batches(Stream.FILES)])
    assert len(report.refused) == 1
    assert report.applied == 1
    assert here.query("SELECT * FROM drill_items WHERE id = ?", ITEM) == before[1]
    assert not here.store.view().stream(Stream.FILES).frontier.covers(forger.origin, 1)
    check_digests(here)
    here.write("UPDATE drill_items SET title = 'still writing'")


HELD: dict[str, Callable[[Forger], bytes]] = {
    "a table named by a word of SQL": lambda f: f.batch([f.change("order", [TITLE], ITEM, 1, "x")]),
    "a table named as one of the engine's": lambda f: f.batch([f.change("sqlite_stat1", [TITLE], ITEM, 1, "x")]),
    "a table named as one of the store's": lambda f: f.batch([f.change("_row_drill_items", [TITLE], ITEM, 1, "x")]),
    "a table named as an index": lambda f: f.batch([f.change("drill_items_by_parent", [TITLE], ITEM, 1, "x")]),
    "a table named as another in capitals": lambda f: f.batch([f.change("Drill_Items", [TITLE], ITEM, 1, "x")]),
    "a table whose name is more": lambda f: f.batch([f.change("a (id); DROP TABLE b; --", [TITLE], ITEM, 1, "x")]),
    "a column that stands for what is not known": lambda f: f.batch([item(f, [column("_", "lww")], b"x")]),
    "a strategy that is not known yet": lambda f: f.batch([item(f, [("title", 77)], "x")]),
    "another strategy than the column has": lambda f: f.batch([item(f, [column("title", "max")], "x")]),
    "a far clock": lambda f: f.batch([item(f, [TITLE], "x")], hlc=(f.member.time.milliseconds + 90_000_000) << 16),
    "a batch that is missing": lambda f: f.batch(
        [item(f, [TITLE], "x")], deps=(Dependency(f.member.store.origin, 99, b"no batch"),)
    ),
}


@pytest.mark.parametrize("reason", HELD)
def test_a_batch_that_may_make_sense_later_is_held_and_the_rest_flows(
    here: Replica, there: Replica, reason: str
) -> None:
    raw = HELD[reason](Forger(there))
    there.write(insert_item(2))
    report = here.receive([raw, *there.batches(Stream.FILES)])
    assert [held.raw for held in report.held] == [raw]
    assert (report.refused, report.applied) == ([], 1)
    assert here.query("SELECT id FROM drill_items") == [(row_id(2),)]


def test_a_held_batch_with_a_far_clock_does_not_carry_this_clock_along(here: Replica, there: Replica) -> None:
    here.receive([Forger(there).batch([("drill_items", (TITLE,), encode([ITEM, 1, "x"]))], hlc=2**64 - 1)])
    here.write(insert_item(2))
    ((hlc,),) = here.query("SELECT hlc FROM _row_drill_items")
    assert isinstance(hlc, bytes)
    assert int.from_bytes(hlc, "big") >> 16 == here.time.milliseconds


def test_a_malformed_batch_leaves_nothing_of_its_call(here: Replica, there: Replica) -> None:
    there.write(insert_item(1))
    (raw,) = there.batches(Stream.FILES)
    with pytest.raises(RemoteProtocolError):
        here.receive([raw, raw[:-1]])
    assert here.store.view().streams == {}
    assert here.query("SELECT count(*) FROM drill_items") == [(0,)]


def test_a_row_driven_to_the_last_generation_can_still_be_shown_and_says_why_it_cannot_be_deleted(
    here: Replica, there: Replica
) -> None:
    forger = Forger(there)
    whole = layout_of(here, "drill_items")
    values = {"kind": "plain", "title": "immortal"}
    row = encode([ITEM, GENERATION_MAX, *(values.get(name) for name, _ in whole)])
    assert here.receive([forger.batch([("drill_items", whole, row)])]).applied == 1
    assert here.query("SELECT title FROM drill_items") == [("immortal",)]
    with pytest.raises(Exception, match="too often"):
        here.write(delete_item(1))
    check_digests(here)


def test_two_batches_under_one_number_are_told_apart(here: Replica, there: Replica) -> None:
    honest, forked = Forger(there), Forger(there)
    first = honest.batch([item(honest, [TITLE], "one")])
    second = forked.batch([item(forked, [TITLE], "two")])
    assert here.receive([first]).applied == 1
    report = here.receive([second])
    assert [refused.reason for refused in report.refused] == ["its author wrote two different batches under one number"]
    follower = forked.batch([item(forked, [TITLE], "three")])
    assert len(here.receive([follower]).refused) == 1
    assert here.query("SELECT title FROM drill_items") == [("one",)]


def test_a_replayed_batch_has_no_second_effect(realm: Realm, here: Replica, there: Replica) -> None:
    there.write(insert_item(1, uses=5))
    raws = there.batches(Stream.FILES)
    here.receive(raws)
    before = here.store.view()
    report = here.receive(raws * 3)
    assert (report.applied, report.duplicates) == (0, 3 * len(raws))
    here.reopen()
    here.receive(raws)
    assert here.store.view() == before
    assert here.query("SELECT uses FROM drill_items") == [(5,)]


def test_a_batch_that_is_refused_lets_go_of_nothing_that_it_stands_for(here: Replica, there: Replica) -> None:
    first, second = Forger(there), Forger(there)
    second.origin = make_origin(there.device_id, b"another!")
    assert here.receive([first.batch([item(first, [TITLE], "one")])]).applied == 1
    before = (here.store.view(), here.query("SELECT hlc, origin, seq, hash FROM _row_drill_items"))
    counts_for_another = [item(second, [USES], [[here.store.origin, 1, 0]])]
    stands_for = ((first.origin, 1, first.head),)
    assert len(here.receive([second.batch(counts_for_another, stands_for=stands_for)]).refused) == 1
    assert (here.store.view(), here.query("SELECT hlc, origin, seq, hash FROM _row_drill_items")) == before
    assert here.query("SELECT count(*) FROM _abandoned") == [(0,)]
    check_digests(here)
    follower = first.batch([item(first, [TITLE], "two")])
    assert here.receive([follower]).applied == 1


def told(forger: Forger, seq: int = 1, **values: object) -> Change:
    """Return an item as `forger` tells it in its batch `seq`: what is not given is as in the true account."""
    chosen = {"number": 1, "title": "told", "tag": "tag", "index": 0, "text": "text", "generation": 1} | values
    columns = [BODY, column("tags", "set"), TITLE]
    tags = [[[dot(forger.origin, seq, int(str(chosen["index"]))), chosen["tag"]]], []]
    payload = [row_id(int(str(chosen["number"]))), chosen["generation"], chosen["text"], tags, chosen["title"]]
    return forger.change("drill_items", columns, *payload)


OTHER_ACCOUNTS: dict[str, Callable[[Forger], list[Change]]] = {
    "another value": lambda f: [told(f, title="untold"), told(f, number=2)],
    "a value instead of none": lambda f: [told(f), told(f, number=2, text=None)],
    "another element": lambda f: [told(f, tag="untold"), told(f, number=2)],
    "another place of an element": lambda f: [told(f, index=1), told(f, number=2)],
    "another row": lambda f: [told(f), told(f, number=3)],
    "a row less": lambda f: [told(f)],
    "a row more": lambda f: [told(f), told(f, number=2), told(f, number=3)],
    "another life": lambda f: [told(f), told(f, number=2, generation=3)],
    "a column less": lambda f: [told(f), f.change("drill_items", [TITLE], row_id(2), 1, "told")],
}


@pytest.mark.parametrize("account", [*OTHER_ACCOUNTS.values(), None], ids=[*OTHER_ACCOUNTS, "the same"])
def test_what_stands_for_a_batch_that_is_held_repeats_it_or_is_refused(
    here: Replica, there: Replica, account: Callable[[Forger], list[Change]] | None
) -> None:
    """Who held the first account renames it and who did not has only the second: they would stay apart for ever."""
    first, second = Forger(there), Forger(there)
    second.origin = make_origin(there.device_id, b"another!")
    assert here.receive([first.batch([told(first), told(first, number=2)])]).applied == 1
    before = (here.store.view(), here.query("SELECT hlc, origin, seq, hash FROM _row_drill_items"))
    changes = account(second) if account else [told(second), told(second, number=2)]
    report = here.receive([second.batch(changes, stands_for=((first.origin, 1, first.head),))])
    if account is None:
        assert (report.applied, report.refused) == (1, [])
        return
    assert [refused.reason for refused in report.refused] == [
        "it does not repeat what it stands for: its author signed two accounts of it"
    ]
    assert (here.store.view(), here.query("SELECT hlc, origin, seq, hash FROM _row_drill_items")) == before
