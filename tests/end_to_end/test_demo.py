"""The demonstration shows what it proves: it ends well only if the three devices hold the same."""

import html
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from node.demo.findings import Agreement, DevicePaired, Finding, Finished, Unreadable
from node.demo.picture import draw
from tests.architecture.source_tree import PROJECT
from tests.support.program import CONSOLE_SCRIPT

PICTURE = PROJECT / "node/demo/demo.svg"
# What is another one each time: times, sizes, digits to compare, digests, the folder.
DIFFERENT_EACH_TIME = re.compile(r"/\S*nuthatch-demo-\w+|\b[0-9a-f]{12}\b|\b\d[\d.,]*(?: (?:B|kB|MB|s|\d{3})\b)?")


def run_demo(temporary: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(temporary)}
    return subprocess.run([CONSOLE_SCRIPT, *arguments], env=environment, capture_output=True, check=False, timeout=100)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """What the demonstration tells a program."""
    temporary = tmp_path_factory.mktemp("demo")
    shown = run_demo(temporary, "--json", "demo")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert list(temporary.iterdir()) == [], "it left something behind"
    decoder: msgspec.json.Decoder[Finding] = msgspec.json.Decoder(Finding)
    return [decoder.decode(line) for line in shown.stdout.splitlines()]


def test_the_demonstration_agrees_and_leaves_nothing_behind(findings: list[Finding]) -> None:
    assert [finding.name for finding in findings if isinstance(finding, DevicePaired)] == ["phone", "tablet"]
    (agreement,) = [finding for finding in findings if isinstance(finding, Agreement)]
    assert agreement.equal
    for stream in agreement.streams:
        assert len(stream.digest_by_device) == 3
        assert len(set(stream.digest_by_device.values())) == 1
    assert sum(max(stream.rows_by_device.values()) for stream in agreement.streams) > 50
    (unreadable,) = [finding for finding in findings if isinstance(finding, Unreadable)]
    assert unreadable.phrases > 0


def shape(picture: str) -> str:
    """Return the words of a picture, without what is another one each time."""
    text = html.unescape(" ".join(re.findall(r"<text [^>]*>([^<]*)</text>", picture)))
    return " ".join(DIFFERENT_EACH_TIME.sub(" ", " ".join(text.split())).split())


def test_the_picture_in_the_readme_shows_what_the_demonstration_shows_now(findings: list[Finding]) -> None:
    assert shape(PICTURE.read_text(encoding="utf-8")) == shape(draw(findings)), "make picture draws it anew"


def test_a_picture_that_lacks_a_finding_would_be_seen(findings: list[Finding]) -> None:
    whole = shape(draw(findings))
    assert not [
        finding for finding in findings if shape(draw([one for one in findings if one is not finding])) == whole
    ]


def test_the_picture_loads_nothing_and_looks_the_same_for_equal_findings(findings: list[Finding]) -> None:
    picture = draw(findings)
    assert draw(findings) == picture
    assert set(re.findall(r"https?://[^\"\s<]+", picture)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in re.sub(r"url\(#", "", picture)
    assert isinstance(findings[-1], Finished)


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
