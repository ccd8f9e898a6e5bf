"""What a node says about its peers."""

from node.clock import SystemClock
from node.peers import COMPARING, NEVER_CONNECTED, PeerTable
from node.requests import PeerChanged
from sync.effects import PeerStatus
from tests.support.realm_factory import found_realm

REALM = found_realm(devices=3, seed="peers")
PEER = REALM.devices[1].device_id
AGREED = PeerStatus(in_sync=True, why="")
BEHIND = PeerStatus(in_sync=False, why="1 change to send")


def make_table() -> tuple[PeerTable, list[PeerChanged]]:
    events: list[PeerChanged] = []
    membership = REALM.membership(0)
    return PeerTable(clock=SystemClock(), membership=lambda: membership, publish=events.append), events


def test_every_other_active_device_is_listed_before_it_was_ever_met() -> None:
    table, _ = make_table()
    states = table.all()
    assert {state.device_id for state in states} == {keys.device_id for keys in REALM.devices[1:]}
    assert {state.why for state in states} == {NEVER_CONNECTED}
    assert not any(state.connected or state.in_sync for state in states)


def test_a_peer_that_has_just_connected_is_being_compared() -> None:
    table, events = make_table()
    table.connected(PEER)
    state = next(state for state in table.all() if state.device_id == PEER)
    assert (state.connected, state.in_sync, state.why) == (True, False, COMPARING)
    assert state.last_seen_milliseconds is not None
    assert [event.name for event in events] == ["device 1"]


def test_only_a_judgement_that_turned_is_worth_telling() -> None:
    table, _ = make_table()
    table.connected(PEER)
    assert table.judged(PEER, AGREED)
    assert not table.judged(PEER, AGREED)
    assert table.judged(PEER, BEHIND)
    assert not table.judged(PEER, PeerStatus(in_sync=False, why="2 changes to send"))


def test_what_turned_back_before_it_was_told_is_no_event() -> None:
    table, events = make_table()
    table.connected(PEER)
    table.judged(PEER, AGREED)
    table.tell(PEER)
    told = len(events)
    table.judged(PEER, BEHIND)
    table.judged(PEER, AGREED)
    table.tell(PEER)
    assert len(events) == told


def test_a_peer_that_is_gone_is_neither_connected_nor_in_sync_and_the_reason_is_kept() -> None:
    table, events = make_table()
    table.connected(PEER)
    table.judged(PEER, AGREED)
    table.disconnected(PEER, "the connection was lost")
    state = next(state for state in table.all() if state.device_id == PEER)
    assert (state.connected, state.in_sync) == (False, False)
    assert state.why == "not connected: the connection was lost"
    assert events[-1].connected is False
