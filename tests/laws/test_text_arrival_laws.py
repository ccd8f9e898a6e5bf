"""What is shown of a text depends on which changes are known, never on the order in which they came."""

import random
from collections.abc import Sequence
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt import document, text_growth
from crdt.errors import MergeError
from crdt.strategies import text
from crdt.strategies.text import Text
from crdt.text_at_rest import from_stored, to_stored
from crdt.text_change import ChangeHash, Deletion, Insertion, TextChange
from crdt.text_chunk import write_chunk
from crdt.text_merge_at_rest import TextAtRest, at_rest
from crdt.text_merge_at_rest import merged as merged_at_rest
from crdt.text_sequence import RunSequence
from tests.support.texts import OAK, PLACE, edit, merged, stamp

FORGERS = [bytes([number]) * 16 for number in (1, 128, 255)]


def changes_of_members(draw: random.Random) -> list[Text]:
    """Return changes by devices that edit apart, and among them some that no device makes."""
    replicas = [OAK, OAK]
    made: list[Text] = []
    characters = [(run[0], run[1] + at) for run in text.promoted(OAK).spans for at in range(run[2])]
    names: list[bytes] = [document.BASE.hash, *text.heads_of(OAK)]
    for number in range(2, draw.randrange(4, 10)):
        if draw.random() < 0.5:
            index = draw.randrange(2)
            words = replicas[index].shown.split(" ")
            words[draw.randrange(len(words))] = draw.choice(["elm", "", "old yew", "é"]) + str(number)
            change: Text | None = edit(replicas[index], " ".join(words), number, index)
        else:
            change = forged(draw, names, characters)
        if change is None:
            continue
        made.append(change)
        index = draw.randrange(2)
        replicas[index] = merged(replicas[index], change, *([replicas[1 - index]] if draw.random() < 0.3 else []))
        names += [*change.chunks, bytes([number]) * 32][: draw.randrange(1, 3)]
    return made


def forged(draw: random.Random, names: Sequence[bytes], characters: list[tuple[bytes, int]]) -> Text | None:
    """Return a change of a few operations that name what may be there and what is not, None where it is refused."""
    deletes_only = draw.random() < 0.4
    actor = draw.choice([*FORGERS, *[actor for actor, _ in characters]] if deletes_only else FORGERS)
    named = draw.sample([one for one in characters if one[0] == actor] or characters, 1) + draw.sample(characters, 2)
    # Mostly later than what it names, or nothing of it is ever applied.
    start = number = draw.choice([draw.randrange(2, 40), *[max(named, key=itemgetter(1))[1] + 5] * 3])
    operations: list[Insertion | Deletion] = []
    written: list[tuple[bytes, int]] = []
    for _ in range(draw.choice([1, 2, 3, 12])):
        behind, counter = draw.choice([*named, *written])
        if deletes_only or draw.random() < 0.3:
            length = draw.choice([1, 1, 2, 5])
            operations.append(Deletion(behind, counter, length, draw.choice([1, 1, -1]) if length > 1 else 1))
            number += length
            continue
        inserted = draw.choice(["x", "yz", "🌳"])
        operations.append(Insertion(behind, counter, inserted) if draw.random() < 0.8 else Insertion(None, 0, inserted))
        written += [(actor, number + at) for at in range(len(inserted))]
        number += len(inserted)
    deps = tuple(sorted({ChangeHash(name) for name in draw.choices(names, k=draw.randrange(3))}))
    raw = write_chunk(TextChange(actor, deps, start, tuple(operations))).raw
    characters += written
    try:
        return text.from_wire([raw], stamp(2), PLACE)
    except MergeError:
        return None


def at_rest_with(state: Text, change: Text) -> TextAtRest | None:
    """Return what the quick way makes of a change, None where it leaves it to the other."""
    try:
        return merged_at_rest(at_rest(to_stored(state), state.shown), text.to_wire(change), PLACE)
    except MergeError:
        return None


def received(changes: Sequence[Text], draw: random.Random) -> Text:
    """Return what comes of changes that arrive in this order: one by one, or some of them joined on their way."""
    state = OAK
    waiting = list(changes)
    while waiting:
        together = [waiting.pop(0) for _ in range(min(len(waiting), draw.choice([1, 1, 1, 2, 4])))]
        change = merged(*together)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_growth, "FEW_OPERATIONS", draw.choice([0, 8, 100]))
            quick = at_rest_with(state, change)
            state = text.join(*draw.sample([state, change], 2))
        if quick is not None:
            stored = from_stored(quick.payload, quick.shown, PLACE)
            assert (stored, quick.shown, text.to_wire(stored)) == (state, state.shown, text.to_wire(state))
    return state


def compare_orders(draw: random.Random) -> int:
    """Let the same changes arrive in several orders; return how many are applied in the end."""
    changes = changes_of_members(draw)
    first = received(changes, draw)
    for _ in range(4):
        other = received(draw.sample(changes, len(changes)), draw)
        assert (other.shown, other.heads, other.waiting) == (first.shown, first.heads, first.waiting)
        assert text.to_wire(other) == text.to_wire(first)
    if len(changes) > 1 and first.plain is None:
        assert text.from_wire(text.to_wire(first), stamp(2), PLACE) == first
    assert text.is_whole(first)
    return len(first.known)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_order_of_arrival_shows_the_same_and_keeps_the_same_waiting(seed: int) -> None:
    compare_orders(random.Random(seed))


def is_noticed(seeds: int = 300) -> bool:
    """Tell whether the orders of one of so many histories part."""
    for seed in range(seeds):
        try:
            compare_orders(random.Random(seed))
        except (AssertionError, MergeError):
            return True
    return False


def test_bounds_that_go_by_what_lies_in_between_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    true = RunSequence.fits

    def tired(self: RunSequence, change: TextChange) -> bool:
        return len(self.spans()) < 12 and true(self, change)

    monkeypatch.setattr(RunSequence, "fits", tired)
    assert is_noticed(), "a planted bug: a change is given up where the text has many runs when it comes"


def test_a_deletion_that_does_not_wait_for_its_own_author_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    true = text_growth.needs_of
    monkeypatch.setattr(text_growth, "needs_of", lambda change: true(change) - {change.actor})
    assert is_noticed(), "a planted bug: a change that only deletes names its own author, who wrote elsewhere"
