"""A page that a member signs cannot write into a document under a time that no honest device could ever exceed."""

from pathlib import Path

import pytest
from msgspec.msgpack import encode

from crdt.identifiers import make_stamp
from sync.errors import RemoteProtocolError
from sync.streams import Stream
from tests.support.diary import DIARY
from tests.support.forgery import Forger, layout_of
from tests.support.realm import check_digests, open_realm, row_id

WRONG_STAMPS = {"from far ahead": (2**64 - 1, 1), "of a number that no batch has": (1 << 20, 2**31)}


@pytest.mark.parametrize("case", WRONG_STAMPS)
def test_a_page_with_a_leaf_under_a_stamp_is_refused(tmp_path: Path, case: str) -> None:
    realm = open_realm(tmp_path, components=(DIARY,))
    here, there = realm.replicas
    forger = Forger(there, Stream.MEMORIES)
    layout = layout_of(here, "diary_pages")
    hlc, seq = WRONG_STAMPS[case]
    leaves = [[["colour"], '"blue"', None], [["size"], "7", make_stamp(hlc, forger.origin, seq)]]
    values = {"body": "x", "margin": "", "title": "", "settings": leaves}
    row = encode([row_id(1), 1, *(values.get(name) for name, _ in layout)])
    born = make_stamp(1 << 16, forger.origin, 1)
    manifest, raw = forger.page([("diary_pages", layout)], [(0, born, row, ())])
    before = here.store.view()
    with pytest.raises(RemoteProtocolError, match="ahead" if seq == 1 else "no batch"):
        here.store.apply_page(raw, manifest, there.device_id, here.roster)
    assert here.store.view() == before
    assert here.query("SELECT count(*) FROM diary_pages") == [(0,)]
    here.write(("INSERT INTO diary_pages (id, body) VALUES (?, 'still writing')", [row_id(2)]))
    check_digests(here)
    realm.close()
