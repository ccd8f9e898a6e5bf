"""Documents: leaves written apart, objects and leaves in one place, empty objects, one spelling, what is refused."""

import json

import pytest

from crdt.errors import MergeError
from crdt.identifiers import Origin, RowId, Stamp, make_stamp
from crdt.place import Place
from crdt.strategies import json_document
from crdt.strategies.json_document import JsonDocument

PLACE = Place("memories", RowId(bytes(16)), 1, "metadata")


def stamp(number: int) -> Stamp:
    return make_stamp(number << 16, Origin(bytes([number]) * 40), 1)


def inserted(value: str | None) -> JsonDocument:
    state = json_document.delta(None, value, stamp(1), PLACE)
    assert state is not None
    return state


def written(state: JsonDocument, value: str | None, number: int) -> JsonDocument:
    change = json_document.delta(state, value, stamp(number), PLACE)
    assert change is not None
    return change


def shown_after(first: str, *later: str) -> str | None:
    """Return what two or more writers made of `first`, each none knowing of another, later ones with greater stamps."""
    state = merged = inserted(first)
    for number, value in enumerate(later, 2):
        merged = json_document.join(merged, written(state, value, number))
    return json_document.value(merged)


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        ('{"font":{"size":12},"theme":"dark"}',
         ('{"font":{"size":12},"theme":"light"}', '{"font":{"size":14},"theme":"dark"}'),
         '{"font":{"size":14},"theme":"light"}'),
        ('{"font":{"size":12}}', ('{"font":"Inter"}', '{"font":{"size":14}}'), '{"font":{"size":14}}'),
        ('{"font":{"size":12}}', ('{"font":{"size":14}}', '{"font":"Inter"}'), '{"font":"Inter"}'),
        ("{}", ('{"a":1}', '{"b":2}'), '{"a":1,"b":2}'),
        ('{"a":1}', ('{"a":1,"b":2}', "{}"), '{"b":2}'),
        ('{"a":[1]}', ('{"a":[1,2]}', '{"a":[1,3]}'), '{"a":[1,3]}'),
        ('{"a":1}', ("[1]", '{"a":1,"b":2}'), '{"b":2}'),
    ],
)  # fmt: skip
def test_documents_written_apart_merge_by_path(first: str, later: tuple[str, ...], expected: str) -> None:
    assert shown_after(first, *later) == expected


def test_what_lost_out_of_sight_never_comes_back_by_itself() -> None:
    state = inserted('{"font":{"size":12}}')
    both = json_document.join(written(state, '{"font":"Inter"}', 2), written(state, '{"font":{"size":14}}', 3))
    whole = json_document.join(state, both)
    cleared = json_document.join(whole, written(whole, '{"theme":"dark"}', 4))
    assert json_document.value(cleared) == '{"theme":"dark"}'


def test_null_is_no_leaf_and_the_same_value_in_another_spelling_is_no_change() -> None:
    assert json_document.to_wire(inserted(None)) is None
    assert json_document.to_wire(inserted("{}")) == "{}"
    assert json_document.delta(inserted('{"a":1,"b":[2]}'), '{ "b": [2], "a": 1 }', stamp(2), PLACE) is None
    assert json_document.value(inserted('{ "b": "ü", "a": 1 }')) == '{"a":1,"b":"ü"}'


@pytest.mark.parametrize(("value", "plain"), [
    (None, True), ("{}", True), ('{"a":1}', True), ('{"a": 1}', False),
    ("[1]", True), ("nonsense", False), ('{"b":1,"a":1}', False)])  # fmt: skip
def test_a_plain_value_is_one_that_spells_itself(value: str | None, plain: bool) -> None:
    assert json_document.is_plain(value) == plain
    if plain:
        assert json_document.to_wire(inserted(value)) == value


def test_a_merged_document_has_one_spelling_that_reads_back() -> None:
    state = inserted('{"a":1,"b":{"c":2}}')
    whole = json_document.join(state, written(state, '{"a":2}', 2))
    wire = json_document.to_wire(whole)
    assert wire == [[["a"], "2", None], [["b", "c"], None, None]]
    least = whole.stamp
    assert least is not None
    assert json_document.from_wire(wire, least, PLACE) == whole


@pytest.mark.parametrize(
    "payload",
    [
        7, [], "nonsense", '{"b":1,"a":1}', '{"a": 1}', "NaN", "1e999", '"\\ud800"', [[["a"], "1", None]],
        [[["a"], "1"]], [["a", "1", None]], [[["a"], '{"b":1}', None], [["c"], None, None]],
        [[["b"], "1", None], [["a"], None, None]], [[["a"], None, None]] * 2, [[["a"], None, b"short"]],
        [[["a"], None, stamp(1)]], [[["a"] * 65, None, None]], [[[1], None, None]], "[" * 100_000,
    ],
)  # fmt: skip
def test_a_malformed_document_is_refused(payload: object) -> None:
    with pytest.raises(MergeError):
        json_document.from_wire(payload, stamp(1), PLACE)


@pytest.mark.parametrize("value", ["", "nonsense", 7, b"{}", "NaN", '{"a":' * 70 + "1" + "}" * 70])
def test_what_is_no_json_is_refused(value: str | int | bytes) -> None:
    with pytest.raises(MergeError):
        json_document.delta(inserted("{}"), value, stamp(2), PLACE)


def nested(depth: int) -> str:
    return '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def test_how_deep_a_document_may_be_does_not_depend_on_who_reads_it() -> None:
    assert json_document.value(json_document.from_wire(nested(128), stamp(1), PLACE)) == nested(128)
    for text in (nested(129), nested(900), "[" * 129 + "]" * 129):
        with pytest.raises(MergeError):
            json_document.from_wire(text, stamp(1), PLACE)
        with pytest.raises(MergeError):
            json_document.delta(None, text, stamp(1), PLACE)
    leaf = [["a"] * 64, "[" * 65 + "]" * 65, None]
    with pytest.raises(MergeError, match="inside one another"):
        json_document.from_wire([leaf, [["b"], "1", stamp(2)]], stamp(1), PLACE)
    wide = "[" + ",".join(["[]"] * 500) + "]"
    assert json_document.value(json_document.from_wire(wide, stamp(1), PLACE)) == wide


def test_a_document_of_too_many_values_is_refused_before_they_are_walked_through() -> None:
    most = json_document.LEAVES_WRITTEN_MAX
    fits, too_wide, hostile = (
        json.dumps({f"{key:07}": 1 for key in range(count)}, separators=(",", ":"))
        for count in (most, most + 1, 300_000)
    )
    assert json_document.is_plain(fits)
    assert json_document.value(json_document.from_wire(fits, stamp(1), PLACE)) == fits
    in_letters = json.dumps({"a": '":' * (most + 1)}, separators=(",", ":"))
    assert json_document.is_plain(in_letters)
    for text in (too_wide, hostile):
        assert not json_document.is_plain(text)
        with pytest.raises(MergeError, match="20,000"):
            json_document.from_wire(text, stamp(1), PLACE)
        with pytest.raises(MergeError, match="20,000"):
            json_document.delta(inserted("{}"), text, stamp(2), PLACE)


def test_a_document_grows_only_so_far_that_what_many_add_apart_can_still_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, bound in (("LEAVES_WRITTEN_MAX", 20), ("LEAVES_KEPT_MAX", 60), ("LEAVES_MAX", 200)):
        monkeypatch.setattr(json_document, name, bound)

    def text(first: int, count: int) -> str:
        return json.dumps({f"{key:03}": 1 for key in range(first, first + count)}, separators=(",", ":"))

    state = inserted(text(0, 20))
    for number in (1, 2):
        change = json_document.delta(state, text(20 * number, 20), stamp(number + 1), PLACE)
        assert change is not None
        state = json_document.join(state, change)
    assert len(state.leaf_by_path) == 60
    with pytest.raises(MergeError, match="begin another record"):
        json_document.delta(state, text(60, 1), stamp(9), PLACE)
    assert json_document.delta(state, text(40, 19), stamp(9), PLACE) is not None, "one may be taken away"
    assert json_document.delta(state, text(0, 20), stamp(9), PLACE) is not None, "one that was there may come back"
    merged = json_document.delta(inserted(text(0, 20)), text(20, 20), stamp(2), PLACE)
    assert merged is not None
    for device in range(7):
        merged = json_document.join(merged, inserted(text(100 + 20 * device, 20)))
    assert len(merged.leaf_by_path) <= 200
    assert json_document.from_wire(json_document.to_wire(merged), merged.stamp or stamp(1), PLACE) == merged
