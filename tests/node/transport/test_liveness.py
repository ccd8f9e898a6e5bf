"""When a connection counts as silent, unanswered and over."""

from hypothesis import given, settings
from hypothesis import strategies as st

from node.transport.liveness import ANSWER_SECONDS, HEARTBEAT_SECONDS, Liveness


def test_a_new_connection_is_neither_silent_nor_asked() -> None:
    liveness = Liveness(100.0)
    assert not liveness.is_silent()
    assert not liveness.is_unanswered()
    assert not liveness.is_ping_due(100.0 + HEARTBEAT_SECONDS)
    assert liveness.is_ping_due(100.1 + HEARTBEAT_SECONDS)


def test_a_pong_ends_silence_and_what_was_on_its_way_ends_only_the_danger_of_being_cut() -> None:
    liveness = Liveness(0.0)
    token = liveness.ask(10.0)
    assert liveness.is_silent()
    liveness.heard(10.5)
    assert not liveness.is_silent()
    assert liveness.is_unanswered()
    assert not liveness.is_over(10.6 + ANSWER_SECONDS)
    liveness.heard(11.0)
    liveness.answered(token)
    assert not liveness.is_unanswered()


def test_silence_after_a_ping_ends_the_connection_after_its_time_and_not_before() -> None:
    liveness = Liveness(0.0)
    liveness.ask(31.0)
    assert not liveness.is_over(31.0 + ANSWER_SECONDS)
    assert liveness.is_over(31.1 + ANSWER_SECONDS)


def test_only_the_answer_to_the_last_ping_counts() -> None:
    liveness = Liveness(0.0)
    first = liveness.ask(1.0)
    second = liveness.ask(2.0)
    for wrong in (first, b"", second + b"x", bytes(125)):
        liveness.answered(wrong)
        assert liveness.is_unanswered()
    liveness.answered(second)
    assert not liveness.is_unanswered()


@given(st.lists(st.tuples(st.sampled_from(["heard", "pong", "tick"]), st.floats(0, 40)), max_size=60))
@settings(derandomize=True)
def test_a_connection_on_which_something_comes_in_time_is_never_cut_and_a_dead_one_always_is(
    events: list[tuple[str, float]],
) -> None:
    liveness, now, token, heard_at = Liveness(0.0), 0.0, b"", 0.0
    for event, seconds in events:
        now += seconds
        if event == "tick":
            if liveness.is_over(now):
                assert now - heard_at > ANSWER_SECONDS
            elif liveness.is_ping_due(now):
                token = liveness.ask(now)
        else:
            heard_at = now
            liveness.heard(now)
            if event == "pong":
                liveness.answered(token)
    for _ in range(200):
        now += 1.0
        if liveness.is_over(now):
            break
        if liveness.is_ping_due(now):
            liveness.ask(now)
    assert liveness.is_over(now)
