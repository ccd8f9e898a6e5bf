"""Changes of texts are read strictly, and written and ordered exactly as Automerge does."""

from collections.abc import Callable
from itertools import permutations, product
from time import perf_counter
from typing import Any

import pytest
from automerge.core import ROOT, Document, ObjType, ScalarType
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt import document, text_chunk, text_edits
from crdt.errors import MergeError
from crdt.strategies import text
from crdt.text_change import BASE_ACTOR, ChangeHash, Deletion, Insertion, TextChange, last_number
from crdt.text_chunk import MAGIC, parse_chunk, read_chunk, write_chunk
from crdt.text_columns import spell_runs, unsigned
from crdt.text_edits import Edit
from crdt.text_sequence import apply_change
from crdt.text_spans import Run, operations_of, pack_spans, shown_text, unpack_spans
from crdt.text_splice import Packed, splice
from tests.support.replayed_texts import edit_by_automerge, insert_by_automerge
from tests.support.texts import CHUNK, LAKE, OAK, OLD, PLACE, forged, merged, sealed, stamp

ALPHABET = "ab \né🌳"
laws = settings(max_examples=120, derandomize=True, deadline=None)


def test_a_change_with_any_bit_flipped_is_refused() -> None:
    for position in range(len(CHUNK)):
        flipped = CHUNK[:position] + bytes([CHUNK[position] ^ 1 << position % 8]) + CHUNK[position + 1 :]
        with pytest.raises(MergeError):
            text.from_wire([flipped], stamp(2), PLACE)


def test_a_change_with_any_bit_flipped_under_a_mended_checksum_is_refused_or_only_a_change() -> None:
    contents = CHUNK[11:] if CHUNK[9] >= 128 else CHUNK[10:]
    refused = 0
    for position, bit in product(range(len(contents)), range(8)):
        raw = sealed(contents[:position] + bytes([contents[position] ^ 1 << bit]) + contents[position + 1 :])
        try:
            change = parse_chunk(raw)
            text.join(OAK, text.from_wire([raw], stamp(2), PLACE))
        except MergeError:
            refused += 1
            continue
        assert write_chunk(change).raw == raw
    assert refused > 300


@pytest.mark.parametrize("length", [0, 1, 8, 9, 20, len(CHUNK) - 1])
def test_a_change_cut_short_or_drawn_out_is_refused(length: int) -> None:
    for raw in (CHUNK[:length], CHUNK + CHUNK[:length] if length else CHUNK + b"\0"):
        with pytest.raises(MergeError):
            text.from_wire([raw], stamp(2), PLACE)


def test_changes_out_of_order_twice_or_of_the_base_are_refused() -> None:
    wire = text.to_wire(merged(OAK, OLD, LAKE))
    assert isinstance(wire, list)
    for payload in (wire[::-1], [*wire, wire[-1]], [document.BASE.raw], [], [7], None, [wire]):
        with pytest.raises(MergeError):
            text.from_wire(payload, stamp(2), PLACE)


def test_a_text_that_was_only_inserted_has_one_spelling() -> None:
    raw = next(iter(text.without(merged(OAK, OLD, LAKE), [*LAKE.chunks]).chunks.values()))
    insertion = insert_by_automerge(OAK.shown, text.inserter(PLACE, OAK.shown))
    assert insertion == raw
    with pytest.raises(MergeError, match="travels as it is"):
        text.from_wire([insertion], stamp(1), PLACE)


def test_deflated_changes_are_refused_before_anything_is_inflated() -> None:
    made = edit_by_automerge([document.BASE.raw], [document.BASE.hash], b"d" * 16, [Edit(0, 0, "deflate me " * 100)])
    deflated = MAGIC + made[4:8] + b"\x02" + made[9:]
    with pytest.raises(MergeError, match="uncompressed"):
        text.from_wire([deflated], stamp(2), PLACE)


def test_a_run_length_bomb_is_refused_in_no_time() -> None:
    bomb = TextChange(b"b" * 16, (document.BASE.hash,), 5, (Deletion(BASE_ACTOR, 1, 1 << 40),))
    began = perf_counter()
    with pytest.raises(MergeError, match="operations"):
        text.from_wire([forged(bomb)], stamp(2), PLACE)
    many = TextChange(b"b" * 16, (document.BASE.hash,), 1 << 30, (Deletion(b"c" * 16, 1, 1 << 22),))
    with pytest.raises(MergeError, match="no one wrote"):
        text.from_wire([forged(many)], stamp(2), PLACE)
    assert perf_counter() - began < 0.5


HOSTILE: dict[str, tuple[Insertion | Deletion, ...]] = {
    "a character that is not there": (Insertion(b"z" * 16, 9, "x"),),
    "a character of its own that comes later": (Insertion(b"h" * 16, 9, "x"),),
    "itself": (Insertion(b"h" * 16, 2, "x"),),
    "a deletion of the text itself": (Deletion(BASE_ACTOR, 1, 1),),
    "a deletion of what it has yet to write": (Deletion(b"h" * 16, 3, 1), Insertion(None, 0, "x")),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_change_is_refused_that_names(case: str) -> None:
    raw = forged(TextChange(b"h" * 16, (document.BASE.hash,), 2, HOSTILE[case]))
    with pytest.raises(MergeError):
        text.from_wire([raw], stamp(2), PLACE)


def test_of_several_changes_of_one_author_the_same_one_counts_in_any_order_of_arrival() -> None:
    changes = [
        text.from_wire([forged(TextChange(b"h" * 16, (document.BASE.hash,), 2, operations))], stamp(2), PLACE)
        for operations in (
            (Insertion(None, 0, "one"),),
            (Insertion(None, 0, "other"),),
            (Insertion(None, 0, "third"), Deletion(b"h" * 16, 2, 1)),
        )
    ]
    least = min(changes, key=lambda change: change.heads)
    for order in permutations([*changes, OAK]):
        state = merged(*order)
        assert state == merged(*order[::-1])
        assert state.shown == merged(least, OAK).shown
        assert len(state.waiting) == 2
        assert text.from_wire(text.to_wire(state), stamp(2), PLACE) == state


def test_a_change_waits_for_the_authors_whose_characters_it_names() -> None:
    (chunk,) = OLD.chunks.values()
    true = parse_chunk(chunk)
    strange = TextChange(b"h" * 16, true.deps, true.start + 9, (Insertion(true.actor, true.start, "!"),))
    change = text.from_wire([forged(strange)], stamp(2), PLACE)
    assert merged(OAK, change).shown == OAK.shown
    assert {merged(*order).shown for order in permutations([OAK, OLD, change])} == {"an o!ld oak by the pond"}


def test_other_operations_of_automerge_are_refused() -> None:
    made = Document.load(document.BASE.raw)
    made.set_actor(b"o" * 16)
    body = b"\x10\x10nuthatch-text-v1\x00\x01"
    steps: list[Callable[[Any], object]] = [
        lambda tx: tx.put(ROOT, "text", ScalarType.Str, "gone"),
        lambda tx: tx.put(ROOT, "other", ScalarType.Int, 7),
        lambda tx: tx.put_object(ROOT, "text", ObjType.Text),
        lambda tx: tx.insert(body, 0, ScalarType.Int, 7),
        lambda tx: tx.insert(body, 0, ScalarType.Str, "two"),
        lambda tx: tx.insert(body, 0, ScalarType.Str, ""),
        lambda tx: tx.insert_object(body, 0, ObjType.Map),
        lambda tx: tx.delete(ROOT, "text"),
    ]
    for step in steps:
        made = Document.load(document.BASE.raw)
        made.set_actor(b"o" * 16)
        with made.transaction() as transaction:
            step(transaction)
        change = made.get_last_local_change()
        assert change is not None
        with pytest.raises(MergeError):
            text.from_wire([change.raw_bytes], stamp(2), PLACE)


def test_damaged_bytes_given_to_automerge_become_merge_errors() -> None:
    for chunk in (b"garbage", CHUNK[:-3], CHUNK):
        with pytest.raises(MergeError):
            document.replay([chunk], [read_chunk(CHUNK).hash])
    insertion = insert_by_automerge(OAK.shown, text.inserter(PLACE, OAK.shown))
    assert document.replay([insertion, CHUNK], [read_chunk(CHUNK).hash]) == "an old oak by the pond"
    with pytest.raises(MergeError, match="another document"):
        document.replay([insertion], [read_chunk(CHUNK).hash])


@st.composite
def splices(draw: st.DrawFn, length: int) -> list[Edit]:
    found, position = [], 0
    for _ in range(draw(st.integers(1, 3))):
        if position > length:
            break
        at = draw(st.integers(position, length))
        removed = draw(st.integers(0, min(4, length - at)))
        inserted = draw(st.text(alphabet=ALPHABET, max_size=4))
        if removed or inserted:
            found.append(Edit(at, removed, inserted))
        position = at + removed + 1
    return found


@laws
@given(data=st.data())
def test_changes_are_written_read_and_ordered_exactly_as_automerge_does(data: st.DataObject) -> None:
    known: dict[bytes, TextChange] = {}
    raw_by_name: dict[bytes, bytes] = {}
    replicas: list[tuple[frozenset[bytes], list[Run]]] = [(frozenset(), []) for _ in range(3)]
    for number in range(data.draw(st.integers(1, 9))):
        index = data.draw(st.integers(0, 2))
        names, spans = replicas[index]
        other = data.draw(st.integers(0, 5))
        if other < 3:
            for name in [name for name in known if name in replicas[other][0] - names]:
                spans, names = apply_change(spans, known[name]), names | {name}
            replicas[index] = names, spans
        parts = [document.BASE.raw, *(raw for name, raw in raw_by_name.items() if name in names)]
        automerge = replayed(parts)
        shown = automerge.text(b"\x10\x10nuthatch-text-v1\x00\x01")
        assert shown_text(spans) == shown
        edits = data.draw(splices(len(shown)))
        if not edits:
            continue
        heads, actor = (
            sorted(map(ChangeHash, automerge.get_heads())),
            bytes([data.draw(st.integers(0, 255)), number]) * 8,
        )
        raw = edit_by_automerge(parts, heads, actor, edits)
        change = parse_chunk(raw)
        last = max((known[name].start + size(known[name]) for name in names), default=2)
        mine = TextChange(actor, tuple(heads), last, operations_of(spans, edits))
        assert write_chunk(mine).raw == raw == write_chunk(change).raw
        known[read_chunk(raw).hash], raw_by_name[read_chunk(raw).hash] = change, raw
        replicas[index] = names | {read_chunk(raw).hash}, apply_change(spans, change)
        assert shown_text(replicas[index][1]) == text_edits.apply(shown, edits)


def packed_by(spans: list[Run], actors: list[bytes]) -> Packed:
    return Packed(*pack_spans(spans, {actor: index for index, actor in enumerate(actors)}), shown_text(spans))


@laws
@given(data=st.data())
def test_a_change_is_applied_to_packed_runs_as_to_others_and_read_alike_by_the_short_way(data: st.DataObject) -> None:
    draw = data.draw(st.randoms(use_true_random=False))
    spans: list[Run] = []
    history: list[list[Run]] = [spans]
    actors: list[bytes] = []
    known: list[TextChange] = []
    last = 1
    for number in range(draw.randrange(1, 9)):
        seen = draw.randrange(len(history))
        edits = data.draw(splices(len(shown_text(history[seen]))))
        if not edits:
            continue
        actor = bytes([draw.randrange(256), number]) * 8
        start = 2 + sum(map(size, known[:seen])) if draw.random() < 0.5 else last + 1
        change = TextChange(actor, (document.BASE.hash,), start, operations_of(history[seen], edits))
        raw = write_chunk(change).raw
        read = parse_chunk(raw)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_chunk, "read_usual_operations", lambda *_: None)
            assert parse_chunk(raw) == read
        actors.append(actor)
        after = apply_change(spans, change)
        assert splice(packed_by(spans, actors), b"".join(actors), read) == packed_by(after, actors)
        assert unpack_spans(*packed_by(after, actors)[:2], actors, shown_text(after)) == with_sources(after)
        spans, last = after, max(last, last_number(change))
        if seen == len(history) - 1:
            history.append(spans)
            known.append(change)


def with_sources(spans: list[Run]) -> list[Run]:
    """Return the runs as they are unpacked: each points into all that is shown, or into all that is deleted."""
    shown = shown_text(spans)
    gone = "".join(source[at : at + length] for _, _, length, stands, source, at in spans if not stands)
    places = {True: 0, False: 0}
    found: list[Run] = []
    for actor, counter, length, stands, _, _ in spans:
        found.append((actor, counter, length, stands, shown if stands else gone, places[stands]))
        places[stands] += length
    return found


def test_a_change_of_the_packed_runs_that_names_what_is_not_there_is_refused() -> None:
    actors = b"a" * 16 + b"b" * 16
    text_of_a = Packed([0, 2, 5], "", "words")
    for operation in (
        Insertion(b"a" * 16, 7, "x"),
        Insertion(b"a" * 16, 9, "x"),
        Deletion(b"a" * 16, 6, 2),
        Deletion(b"b" * 16, 2, 1),
        Deletion(b"a" * 16, 9, 1),
    ):
        with pytest.raises(MergeError):
            splice(text_of_a, actors, TextChange(b"b" * 16, (), 8, (operation,)))
    assert splice(text_of_a, actors, TextChange(b"b" * 16, (), 8, (Deletion(b"a" * 16, 6, 3, -1),))) == Packed(
        [0, 2, 2, 0, 4, -3], "rds", "wo"
    )


def size(change: TextChange) -> int:
    return sum(len(one.text) if isinstance(one, Insertion) else one.length for one in change.operations)


def replayed(parts: list[bytes]) -> Document:
    return Document.load(b"".join(parts))


@laws
@given(runs=st.lists(st.tuples(st.integers(1, 5), st.none() | st.integers(0, 200)), max_size=8))
def test_a_column_is_spelled_as_if_value_by_value(runs: list[tuple[int, int | None]]) -> None:
    one_by_one = [(1, value) for count, value in runs for _ in range(count)]
    assert spell_runs(runs, unsigned) == spell_runs(one_by_one, unsigned)
