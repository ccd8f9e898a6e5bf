"""The stable frontier is what all devices that count have said to hold, and never more."""

from crdt.identifiers import DeviceId, Origin, make_origin
from sync.frontier import Frontier, FrontierEntry, ReplicaView, StreamState
from sync.roster import RosterState, evaluate
from sync.stable_frontier import ABSENT_MILLISECONDS, stable_frontiers
from sync.statements import Beat, sign_statement, state_frontiers
from sync.streams import Stream
from tests.support.realm_factory import NOW_MILLISECONDS, found_realm

MEMORIES = Stream.MEMORIES
DAY = 24 * 3600 * 1000


def origin_of(device_id: DeviceId) -> Origin:
    return make_origin(device_id, bytes(8))


REALM = found_realm(devices=3, seed="stable")
ORIGINS = [origin_of(keys.device_id) for keys in REALM.devices]


def frontier(*seqs: int) -> Frontier:
    return Frontier(
        {origin: FrontierEntry(seq, bytes([seq]) * 8) for origin, seq in zip(ORIGINS, seqs, strict=False) if seq}
    )


def roster_with(*beats: tuple[int, int, Frontier]) -> RosterState:
    """Return the roster after beats of (device, day, frontier)."""
    roster = evaluate(REALM.realm_id, REALM.statements)
    raws = [
        sign_statement(
            Beat(
                author=REALM.devices[device].device_id,
                at_milliseconds=NOW_MILLISECONDS + day * DAY,
                frontiers=state_frontiers({MEMORIES: said}),
                heads=roster.heads,
            ),
            REALM.realm_id,
            REALM.devices[device].sign_seed,
        )
        for device, day, said in beats
    ]
    return evaluate(REALM.realm_id, [*REALM.statements, *raws])


def stable(roster: RosterState, own: Frontier, day: int = 0) -> Frontier:
    view = ReplicaView(streams={MEMORIES: StreamState(frontier=own)})
    found = stable_frontiers(roster, REALM.devices[0].device_id, view, NOW_MILLISECONDS + day * DAY)
    return found.get(MEMORIES, Frontier())


def test_it_is_what_every_active_device_covers() -> None:
    roster = roster_with((1, 0, frontier(5, 9, 0)), (2, 0, frontier(6, 4, 3)))
    assert stable(roster, frontier(6, 6, 6)) == frontier(5, 4, 0)


def test_a_chain_of_this_device_of_which_others_hold_more_is_kept_whole() -> None:
    """This device was set back: the numbers that it has given since are of other batches than those held elsewhere."""
    roster = roster_with((1, 0, frontier(7, 5, 5)), (2, 0, frontier(5, 5, 5)))
    assert stable(roster, frontier(6, 5, 5)) == frontier(0, 5, 5)


def test_a_device_that_has_said_nothing_holds_nothing() -> None:
    assert stable(roster_with((1, 0, frontier(5, 5, 5))), frontier(5, 5, 5)) == Frontier()


def test_only_the_latest_word_of_a_device_counts() -> None:
    roster = roster_with((1, 0, frontier(9)), (1, 2, frontier(3)), (2, 0, frontier(9)))
    assert stable(roster, frontier(9)) == frontier(3)


def test_a_device_that_was_away_for_long_is_not_waited_for() -> None:
    days = ABSENT_MILLISECONDS // DAY
    roster = roster_with((1, 0, frontier(1)), (2, days, frontier(8)))
    assert stable(roster, frontier(9), day=days) == frontier(1)
    assert stable(roster, frontier(9), day=days + 1) == frontier(8)


def test_it_never_exceeds_what_is_held_here_and_skips_numbers_that_name_two_batches() -> None:
    roster = roster_with((1, 0, frontier(0, 90, 5)), (2, 0, frontier(0, 90, 5)))
    forked = Frontier({ORIGINS[1]: FrontierEntry(2, bytes(8)), ORIGINS[2]: FrontierEntry(5, b"another!")})
    assert stable(roster, forked) == Frontier({ORIGINS[1]: FrontierEntry(2, bytes(8))})


def test_a_revoked_device_is_not_waited_for() -> None:
    realm = found_realm(devices=2, seed="stable revoked")
    realm.revoke(1)
    roster = evaluate(realm.realm_id, realm.statements)
    own = Frontier({origin_of(realm.devices[0].device_id): FrontierEntry(4, bytes(8))})
    view = ReplicaView(streams={MEMORIES: StreamState(frontier=own)})
    assert stable_frontiers(roster, realm.devices[0].device_id, view, NOW_MILLISECONDS) == {MEMORIES: own}
