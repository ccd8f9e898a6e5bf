"""Equal frontiers with different rows: found by ranges, exchanged, told; and a peer that abuses the questions."""

from contextlib import suppress

import pytest

from sync import session_repair
from sync.effects import Diverged, ReadRepair, Repaired, SplitRanges, SumRanges
from sync.errors import RemoteProtocolError
from sync.limits import REPAIR_ASKS_MAX, SUMMED_PASSES_MAX
from sync.messages import Message, RangesAnswer, RangesAsk, RepairPage, RowsAsk
from sync.row_ranges import EVERYTHING, RangeSum, RowRange
from sync.session_exchange import UNREPAIRED_MILLISECONDS
from sync.session_repair import REPAIRS_PER_STREAM_MAX, Repair
from sync.snapshot import START, RowKey
from sync.streams import Stream
from tests.support.hostile_member import HostileMember
from tests.support.memory_replica import MemoryReplica
from tests.support.realm_factory import NOW_MILLISECONDS, found_realm
from tests.support.session_pair import SessionPair, make_pair

REALM = found_realm(devices=2)
MEMORIES = Stream.MEMORIES


def equal_pair(count: int) -> SessionPair:
    """Return two connected replicas that hold the same payloads."""
    replica = MemoryReplica(REALM.devices[0].device_id)
    for number in range(count):
        replica.write(MEMORIES, b"payload %d" % number)
    pair = make_pair(REALM, replica).connect()
    assert pair.initiator.replica.view() == pair.responder.replica.view()
    return pair


def tick(pair: SessionPair, seconds: int) -> None:
    for end in (pair.initiator, pair.responder):
        end.now_milliseconds = NOW_MILLISECONDS + 1000 * seconds
        end.tick(float(seconds))
    pair.settle()


@pytest.mark.parametrize("count", [1, 16, 17, 500])
@pytest.mark.parametrize("side", ["initiator", "responder", "both"])
def test_a_row_that_one_end_lacks_is_found_and_brought_over(count: int, side: str) -> None:
    pair = equal_pair(count)
    for name, end in (("initiator", pair.initiator), ("responder", pair.responder)):
        if side in (name, "both"):
            end.replica.corrupt(MEMORIES, b"rotten bit of the " + name.encode())
            end.changed()
    pair.settle()
    assert "comparing them" in pair.initiator.status().why
    for seconds in range(1, 5):
        tick(pair, seconds)
    for end in (pair.initiator, pair.responder):
        assert end.error is None
        assert end.status().in_sync
        assert [effect for effect in end.effects if isinstance(effect, Diverged | Repaired)] == [
            Repaired(stream=MEMORIES)
        ]
    assert pair.initiator.replica.view() == pair.responder.replica.view()


def test_only_ranges_that_differ_are_cut_and_sent() -> None:
    pair = equal_pair(500)
    pair.responder.replica.corrupt(MEMORIES, b"one of five hundred")
    pair.responder.changed()
    pair.settle()
    for seconds in range(1, 4):
        tick(pair, seconds)
    ends = (pair.initiator, pair.responder)
    asked = [effect for end in ends for effect in end.effects if isinstance(effect, SumRanges)]
    # 501 rows: sixteen parts of 32, then sixteen of two.
    assert [len(effect.ranges) for effect in asked] == [16, 16]
    assert all(end.replica.ranges_read == 1 for end in ends)


def test_the_end_with_the_lower_id_asks_and_the_other_answers() -> None:
    pair = equal_pair(20)
    pair.responder.replica.corrupt(MEMORIES, b"x")
    pair.responder.changed()
    pair.settle()
    for seconds in range(1, 4):
        tick(pair, seconds)
    lower, higher = sorted((pair.initiator, pair.responder), key=lambda end: end.device_id)
    assert any(isinstance(effect, SplitRanges) for effect in lower.effects)
    assert not any(isinstance(effect, SplitRanges) for effect in higher.effects)


def test_what_comes_right_by_itself_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = equal_pair(5)
    ends = (pair.initiator, pair.responder)
    for end in ends:
        monkeypatch.setattr(end.session._exchange._repair, "begin", lambda stream: [])
    pair.responder.replica.corrupt(MEMORIES, b"there for a while")
    pair.responder.changed()
    pair.settle()
    for seconds in range(1, 4):
        tick(pair, seconds)
    assert "comparing" in pair.initiator.status().why
    pair.initiator.replica.corrupt(MEMORIES, b"there for a while")
    pair.initiator.changed()
    for seconds in range(4, 6):
        tick(pair, seconds)
    assert all(end.status().in_sync for end in ends)
    assert not [effect for end in ends for effect in end.effects if isinstance(effect, Diverged | Repaired)]


def test_what_cannot_be_mended_is_told_once_and_not_tried_for_ever() -> None:
    pair = equal_pair(5)
    pair.responder.replica.corrupt(MEMORIES, b"never given away")
    pair.responder.replica.silent = True
    pair.responder.changed()
    pair.settle()
    for seconds in range(1, 3 + UNREPAIRED_MILLISECONDS // 1000):
        tick(pair, seconds)
    lower = min((pair.initiator, pair.responder), key=lambda end: end.device_id)
    whole = [effect for effect in lower.effects if isinstance(effect, SplitRanges) and effect.fresh]
    assert len(whole) == REPAIRS_PER_STREAM_MAX
    assert [effect for effect in lower.effects if isinstance(effect, Diverged)] == [Diverged(stream=MEMORIES)]
    assert "this is a defect" in lower.status().why


def test_a_write_on_its_way_is_no_reason_to_compare_rows() -> None:
    pair = equal_pair(5)
    pair.initiator.replica.write(MEMORIES, b"on its way")
    pair.initiator.changed()
    pair.initiator.tick(1.0)
    pair.initiator.tick(2.0)
    assert not any(isinstance(effect, SplitRanges) for effect in pair.initiator.effects)


A, B, C = (RowKey("payloads", bytes([number]) * 16) for number in (1, 2, 3))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(RangesAnswer(stream=MEMORIES, sums=[RangeSum(bytes(32), 0)]), id="an answer to no question"),
        pytest.param(RangesAsk(stream=MEMORIES, ranges=[RowRange(B, A)], fresh=True), id="an end before its beginning"),
        pytest.param(RangesAsk(stream=MEMORIES, ranges=[RowRange(A, A)], fresh=True), id="an empty range"),
        pytest.param(
            RangesAsk(stream=MEMORIES, ranges=[RowRange(A, C), RowRange(B, START)], fresh=True),
            id="ranges that overlap",
        ),
        pytest.param(RangesAsk(stream=MEMORIES, ranges=[EVERYTHING, EVERYTHING], fresh=True), id="everything, twice"),
        pytest.param(
            RowsAsk(stream=MEMORIES, ranges=[RowRange(START, RowKey("payloads", b"short"))]), id="a short row id"
        ),
        pytest.param(RepairPage(number=2, stream=MEMORIES, frontier=[], envelope=b"x"), id="a page that does not open"),
    ],
)
def test_a_question_that_is_none_closes_the_session(message: Message) -> None:
    hostile = HostileMember().greet().say(message)
    assert isinstance(hostile.victim.error, RemoteProtocolError)
    assert not [effect for effect in hostile.victim.effects if isinstance(effect, SumRanges | ReadRepair)]


def test_questions_without_end_close_the_session() -> None:
    hostile = HostileMember().greet()
    for _ in range(REPAIR_ASKS_MAX):
        hostile.say(RangesAsk(stream=MEMORIES, ranges=[EVERYTHING], fresh=False))
    assert hostile.victim.error is None
    hostile.say(RangesAsk(stream=MEMORIES, ranges=[EVERYTHING], fresh=False))
    assert isinstance(hostile.victim.error, RemoteProtocolError)


@pytest.mark.parametrize("sound", [True, False])
def test_a_peer_that_has_all_rows_added_up_again_and_again_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, sound: bool
) -> None:
    monkeypatch.setattr(session_repair, "SUMMED_ROWS_SPARE", 0)
    if not sound:
        # The planted bug: nobody counts.
        monkeypatch.setattr(session_repair, "SUMMED_PASSES_MAX", 10**9)
    repair = Repair()
    questions = 0
    with suppress(RemoteProtocolError):
        while questions < 100:
            repair.asked(RangesAsk(stream=MEMORIES, ranges=[EVERYTHING], fresh=False))
            repair.summed([RangeSum(bytes(32), 1_000_000)])
            questions += 1
    assert questions == (SUMMED_PASSES_MAX + 1 if sound else 100)


def test_only_as_many_comparisons_may_begin_as_an_honest_peer_begins() -> None:
    hostile = HostileMember().greet()
    for _ in range(REPAIRS_PER_STREAM_MAX):
        hostile.say(RangesAsk(stream=MEMORIES, ranges=[EVERYTHING], fresh=True))
    assert hostile.victim.error is None
    hostile.say(RangesAsk(stream=MEMORIES, ranges=[EVERYTHING], fresh=True))
    assert isinstance(hostile.victim.error, RemoteProtocolError)


def test_an_honest_comparison_in_which_all_differs_stays_within_the_bound() -> None:
    """Every row differs, so every range is cut and added up again down to the last."""
    pair = equal_pair(0)
    for end in (pair.initiator, pair.responder):
        for number in range(600):
            end.replica.corrupt(MEMORIES, b"%s %d" % (end.device_id[:4], number))
        end.changed()
    pair.settle()
    for seconds in range(1, 8):
        tick(pair, seconds)
    assert all(end.error is None and end.status().in_sync for end in (pair.initiator, pair.responder))
