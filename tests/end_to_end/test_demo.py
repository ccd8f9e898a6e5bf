"""The demonstration shows what it proves: it ends well only if the three devices hold the same."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.support.program import CONSOLE_SCRIPT


def run_demo(temporary: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(temporary)}
    return subprocess.run([CONSOLE_SCRIPT, *arguments], env=environment, capture_output=True, check=False, timeout=100)


def test_the_demonstration_agrees_and_leaves_nothing_behind(tmp_path: Path) -> None:
    shown = run_demo(tmp_path, "--json", "demo")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    findings = [msgspec.json.decode(line, type=dict[str, object]) for line in shown.stdout.splitlines()]
    by_event = {str(finding["event"]): finding for finding in findings}
    assert [finding["name"] for finding in findings if finding["event"] == "paired"] == ["phone", "tablet"]
    agreement = by_event["agreement"]
    assert agreement["equal"] is True
    streams = agreement["streams"]
    assert isinstance(streams, list)
    rows = 0
    for stream in streams:
        assert isinstance(stream, Mapping)
        assert len(stream["digest_by_device"]) == 3
        assert len(set(stream["digest_by_device"].values())) == 1
        rows += max(stream["rows_by_device"].values())
    assert rows > 50
    assert by_event["unreadable"]["phrases"]
    assert list(tmp_path.iterdir()) == []


def test_a_demonstration_of_a_file_that_is_no_conversation_fails_and_cleans_up(tmp_path: Path) -> None:
    (tmp_path / "homes").mkdir()
    file = tmp_path / "broken.json"
    file.write_text('{"speaker_a": 1}')
    shown = run_demo(tmp_path / "homes", "--json", "demo", "--import", str(file))
    assert shown.returncode == 1
    assert b"broken.json" in shown.stdout.splitlines()[-1]
    assert list((tmp_path / "homes").iterdir()) == []
    absent = run_demo(tmp_path / "homes", "--json", "demo", "--import", str(tmp_path / "absent"))
    assert absent.returncode == 1
