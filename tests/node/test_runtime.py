"""Real nodes over loopback: they meet, agree, keep agreeing, and lose nothing when connections come and go."""

import asyncio
from pathlib import Path

from node.requests import Notice, PeerChanged
from node.runtime import REPLACED
from sync.statements import Beat, decode_statement
from tests.support.nodes import Node, live_realm, make_node, running, until
from tests.support.realm_factory import FoundedRealm


async def test_two_nodes_exchange_what_each_wrote_before_they_met(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    first.remember("tea with Ada", "buy stamps")
    second.remember("the blue bicycle")
    async with running(first, second):
        second.runtime.dial(first.runtime.listen_address)
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        assert first.texts() == second.texts() == {"tea with Ada", "buy stamps", "the blue bicycle"}
        assert first.store.view() == second.store.view()


async def test_a_commit_is_pushed_while_connected_and_both_report_agreement_again(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(first, second):
        second.runtime.dial(first.runtime.listen_address)
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        for number in range(20):
            (first if number % 2 else second).remember(f"note {number}")
        await until(lambda: len(first.texts()) == len(second.texts()) == 20)
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        assert first.runtime.peers()[0].why == ""


async def test_what_one_peer_sent_reaches_a_device_that_only_this_one_can_reach(tmp_path: Path) -> None:
    realm = live_realm(3)
    ends_and_middle = [make_node(realm, device, tmp_path) for device in range(3)]
    left, middle, right = ends_and_middle
    async with running(*ends_and_middle):
        left.runtime.dial(middle.runtime.listen_address)
        right.runtime.dial(middle.runtime.listen_address)
        await until(middle.in_sync_with_all)
        left.remember("from the left")
        right.remember("from the right")
        await until(lambda: left.texts() == right.texts() == {"from the left", "from the right"})
        await until(middle.in_sync_with_all)
        absent = next(peer for peer in left.runtime.peers() if peer.device_id == right.keys.device_id)
        assert not absent.connected
        assert not absent.in_sync
        assert absent.why == "not connected"


async def test_a_newcomer_with_much_to_catch_up_gets_it_as_rows_and_passes_it_on(tmp_path: Path) -> None:
    realm = live_realm(3)
    old, newcomer, next_newcomer = (make_node(realm, device, tmp_path) for device in range(3))
    for number in range(80):
        old.remember(f"old {number}")
    newcomer.remember("mine, never sent")
    async with running(old, newcomer, next_newcomer):
        newcomer.runtime.dial(old.runtime.listen_address)
        await until(lambda: len(newcomer.texts()) == len(old.texts()) == 81)
        next_newcomer.runtime.dial(newcomer.runtime.listen_address)
        await until(newcomer.in_sync_with_all)
        assert next_newcomer.store.view() == old.store.view()


async def test_when_both_dial_at_once_one_link_is_kept_and_it_is_the_same_at_both_ends(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(first, second):
        first.runtime.dial(second.runtime.listen_address)
        second.runtime.dial(first.runtime.listen_address)
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        await until(lambda: first.runtime.link_count() == second.runtime.link_count() == 1)
        second.remember("after the race")
        await until(lambda: first.texts() == {"after the race"})
        lower_first = first.keys.device_id < second.keys.device_id
        assert first.runtime.opened_link_to(second.keys.device_id) is lower_first
        assert second.runtime.opened_link_to(first.keys.device_id) is not lower_first
        assert REPLACED not in [peer.why for peer in first.runtime.peers()]


async def test_a_node_that_comes_back_is_dialled_again_and_catches_up(tmp_path: Path) -> None:
    realm = live_realm(2)
    first = make_node(realm, 0, tmp_path)
    second = make_node(realm, 1, tmp_path)
    async with running(first):
        async with running(second):
            second.runtime.dial(first.runtime.listen_address)
            second.remember("before")
            await until(lambda: first.texts() == {"before"})
        await until(lambda: not first.runtime.peers()[0].connected)
        assert first.runtime.peers()[0].why.startswith("not connected: ")
        assert first.runtime.peers()[0].last_seen_milliseconds is not None
        first.remember("while away")
        back = make_node(realm, 1, tmp_path, peers=[first.runtime.listen_address])
        async with running(back):
            await until(back.in_sync_with_all)
            assert back.texts() == {"before", "while away"}


async def test_a_device_finds_one_whose_node_restarts_on_its_old_port(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(second):
        async with running(first):
            port = first.runtime.listen_address
            second.runtime.dial(port)
            await until(second.in_sync_with_all)
        back = make_node(realm, 0, tmp_path, listen=port)
        second.remember("still here")
        async with running(back):
            await until(lambda: back.texts() == {"still here"})


async def test_a_node_that_dials_itself_stops_dialling(tmp_path: Path) -> None:
    realm = live_realm(2)
    node = make_node(realm, 0, tmp_path)
    async with running(node):
        node.runtime.dial(node.runtime.listen_address)
        await until(lambda: node.runtime.called() == [] and node.runtime.link_count() == 0)


async def test_an_added_device_is_told_of_and_gets_its_key_epoch_from_whoever_is_there(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(first, second):
        second.runtime.dial(first.runtime.listen_address)
        await until(second.in_sync_with_all)
        realm.add_device()
        first.store.add_statements(realm.statements)
        first.runtime.roster_changed()
        realm.statements = first.store.statements()
        assert realm.membership(2).sending is not None
        await until(lambda: len(second.runtime.peers()) == 2)
        third = make_node(realm, 2, tmp_path, peers=[second.runtime.listen_address])
        async with running(third):
            third.remember("hello from the third")
            await until(lambda: first.texts() == second.texts() == {"hello from the third"})


async def test_a_newcomer_introduces_itself_to_a_device_that_has_not_heard_of_it(tmp_path: Path) -> None:
    realm = live_realm(2)
    before, older = list(realm.statements), realm.membership(1).discovery_secrets()
    realm.add_device()
    realm.mint(0)
    unaware = make_node(realm, 1, tmp_path, statements=before)
    unaware.remember("for members only")
    newcomer = make_node(realm, 2, tmp_path, older_discovery_secrets=older)
    async with running(unaware, newcomer):
        newcomer.runtime.dial(unaware.runtime.listen_address)
        await until(lambda: newcomer.texts() == {"for members only"})
        assert {peer.device_id for peer in unaware.runtime.peers()} == {
            keys.device_id for keys in (realm.devices[0], realm.devices[2])
        }


async def test_coming_and_going_and_agreeing_are_events(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(first):
        async with running(second):
            second.runtime.dial(first.runtime.listen_address)
            await until(lambda: [event.in_sync for event in peer_events(first)] == [False, True])
        await until(lambda: [event.connected for event in peer_events(first)] == [True, True, False])
    assert [event.name for event in peer_events(first)] == ["device 1"] * 3


def peer_events(node: Node) -> list[PeerChanged]:
    return [event for event in node.events if isinstance(event, PeerChanged)]


async def test_a_key_epoch_that_is_missing_is_minted_without_being_asked(tmp_path: Path) -> None:
    realm = live_realm(1)
    realm.add_device()
    first = make_node(realm, 0, tmp_path)
    assert realm.membership(0).sending is None
    async with running(first):
        await until(lambda: len(first.store.statements()) > len(realm.statements))
    realm.statements = sorted({*realm.statements, *statements_of(realm, tmp_path)})
    assert realm.membership(1).sending is not None


def statements_of(realm: FoundedRealm, tmp_path: Path) -> list[bytes]:
    node = make_node(realm, 0, tmp_path)
    try:
        return node.store.statements()
    finally:
        node.store.close()


async def test_a_device_signs_a_sign_of_life_once_a_day(tmp_path: Path) -> None:
    realm = live_realm(2)
    second = make_node(realm, 1, tmp_path)
    async with running(second):
        await until(lambda: len(beats(second)) == 1)
        second.runtime.replication.beat_if_due()
        assert len(beats(second)) == 1


def beats(node: Node) -> list[Beat]:
    bodies = (decode_statement(raw).body for raw in node.store.statements())
    return [body for body in bodies if isinstance(body, Beat)]


async def test_a_stopped_node_leaves_no_task_and_no_port_behind(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    before = asyncio.all_tasks()
    async with running(first, second):
        second.runtime.dial(first.runtime.listen_address)
        await until(second.in_sync_with_all)
    await until(lambda: asyncio.all_tasks() == before)


async def test_rows_that_a_node_lost_behind_its_back_are_brought_back_and_told(tmp_path: Path) -> None:
    realm = live_realm(2)
    first, second = make_node(realm, 0, tmp_path), make_node(realm, 1, tmp_path)
    async with running(first, second):
        second.runtime.dial(first.runtime.listen_address)
        first.remember(*(f"note {number}" for number in range(40)))
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all() and len(second.texts()) == 40)
        lost = [row[0] for row in second.store.query("SELECT id FROM memories LIMIT 3")]
        second.store.take_out({"memories": lost})
        assert len(second.texts()) == 37
        await until(lambda: "comparing them" in first.why(second))
        await until(lambda: first.in_sync_with_all() and second.in_sync_with_all())
        assert first.store.view() == second.store.view()
        assert len(second.texts()) == 40
        await until(lambda: any(isinstance(event, Notice) for event in (*first.events, *second.events)))
