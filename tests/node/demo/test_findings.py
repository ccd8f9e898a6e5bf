"""The demonstration calls devices equal only if every stream of every device has the same rows and digest."""

from pathlib import Path

import pytest

from node.demo import edits
from node.demo.device import DemoError
from node.demo.findings import compare_streams, require_equal
from node.demo.secrecy import search_for_phrases
from node.requests import StreamReport


def report(name: str = "memories", rows: int = 3, digest: str = "aa") -> StreamReport:
    return StreamReport(name=name, rows=rows, digest=digest, pending_in=0, pending_out=0)


def test_equal_rows_and_digests_are_an_agreement() -> None:
    agreement = compare_streams({"a": [report()], "b": [report()], "c": [report()]})
    require_equal(agreement)
    assert agreement.equal
    assert agreement.streams[0].digest_by_device == {"a": "aa", "b": "aa", "c": "aa"}


@pytest.mark.parametrize("odd", [[report(digest="ab")], [report(rows=4)], [], [report(), report(name="profile")]])
def test_one_device_that_differs_is_no_agreement(odd: list[StreamReport]) -> None:
    agreement = compare_streams({"a": [report()], "b": [report()], "c": odd})
    assert not agreement.equal
    with pytest.raises(DemoError, match="digests differ"):
        require_equal(agreement)


def test_nothing_to_compare_is_no_agreement() -> None:
    assert not compare_streams({"a": [], "b": []}).equal


FIELDS: dict[str, object] = {
    "content": edits.TEXT_AFTER,
    "title": edits.TABLET.title,
    "tags": ["ben", "dinner", "friday", "wine"],
    "use_count": 6,
}


def test_the_outcome_that_the_rules_demand_is_accepted() -> None:
    edits.check_outcome({"a": FIELDS, "b": FIELDS}, [0, 0])


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({**FIELDS, "content": edits.PHONE.text}, 0),
        ({**FIELDS, "tags": ["ben", "dinner", "friday"]}, 0),
        ({**FIELDS, "use_count": 5}, 0),
        ({**FIELDS, "title": edits.PHONE.title}, 0),
        ({**FIELDS, "status": "only here"}, 0),
        (FIELDS, 1),
    ],
)
def test_any_other_outcome_is_an_error(fields: dict[str, object], messages: int) -> None:
    with pytest.raises(DemoError):
        edits.check_outcome({"a": FIELDS, "b": fields}, [0, messages])


def test_a_readable_sentence_in_a_file_or_on_the_network_is_an_error(tmp_path: Path) -> None:

    (tmp_path / "store.db").write_bytes(b"....a sentence of the memory....")
    with pytest.raises(DemoError, match=r"store\.db"):
        search_for_phrases(["a sentence of the memory"], [tmp_path], [])
    with pytest.raises(DemoError, match="network"):
        search_for_phrases(["another sentence"], [tmp_path], [b"..another sentence.."])
    found = search_for_phrases(["a third one"], [tmp_path], [b"0123456789"])
    assert (found.files, found.network_bytes) == (1, 10)
