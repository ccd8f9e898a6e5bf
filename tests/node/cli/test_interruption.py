"""Ctrl-C breaks work off once and in good order, and what cleans up is not broken off itself."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from node.cli.interruption import Ended, run_to_end


async def _interrupted_by(*numbers: int, cleaned: list[str]) -> None:
    try:
        os.kill(os.getpid(), numbers[0])
        await asyncio.sleep(60)
    finally:
        for number in numbers[1:]:
            os.kill(os.getpid(), number)
        await asyncio.sleep(0)
        cleaned.append("clean")


def test_work_that_is_not_interrupted_gives_its_result() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert run_to_end(work()) == "done"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_ends_the_work_with_the_sentence_that_says_how_things_stand() -> None:
    cleaned: list[str] = []
    with pytest.raises(KeyboardInterrupt, match="What was imported stays"):
        run_to_end(_interrupted_by(signal.SIGINT, cleaned=cleaned), interrupted="What was imported stays.")
    assert cleaned == ["clean"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_disturb_the_cleaning_up() -> None:
    cleaned: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_to_end(_interrupted_by(signal.SIGINT, signal.SIGINT, cleaned=cleaned))
    assert cleaned == ["clean"]


def test_without_this_handling_a_second_ctrl_c_would_be_seen_to_disturb_it() -> None:
    cleaned: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(_interrupted_by(signal.SIGINT, signal.SIGINT, cleaned=cleaned))
    assert cleaned == []


def test_another_signal_ends_the_work_as_orderly_and_keeps_its_exit_code() -> None:
    cleaned: list[str] = []
    with pytest.raises(Ended) as ended:
        run_to_end(_interrupted_by(signal.SIGTERM, cleaned=cleaned))
    assert ended.value.exit_code == 128 + signal.SIGTERM
    assert cleaned == ["clean"]


def test_a_third_ctrl_c_ends_a_process_that_does_not_come_to_an_end() -> None:
    script = """
import os, signal
from node.cli.interruption import run_to_end
async def stuck():
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass
run_to_end(stuck())
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)
    assert finished.returncode == 130
    assert finished.stderr == b""


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored() -> None:
    async def hung_up() -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        return "still here"

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_to_end(hung_up()) == "still here"
    finally:
        signal.signal(signal.SIGHUP, before)
