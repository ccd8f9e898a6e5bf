"""A batch or snapshot page that was altered on the way is refused, in the one way that peers' bytes may be."""

from collections.abc import Callable

import pytest

from crdt.identifiers import HybridTime, RowId, make_origin, make_stamp
from crdt.row import RowState, hash_row, spell_row
from crdt.strategies import STRATEGY_BY_NAME
from crdt.strategies.register import Register
from simulations.world.realm import found_realm
from sync.batch import NO_PREVIOUS, BatchDraft, UnknownAuthor, make_batch, open_batch
from sync.errors import RemoteProtocolError
from sync.frontier import Frontier
from sync.snapshot import Manifest, PageSection, make_page, open_page
from sync.streams import Stream

REALM = found_realm(1, 1, 1_795_219_200_000)
DEVICE = REALM.keys[0]
ORIGIN = make_origin(DEVICE.device_id, bytes(8))
STAMP = make_stamp(7 << 16, ORIGIN, 1)
ROW = RowState(
    generation=1,
    born=STAMP,
    code_by_column={"título": STRATEGY_BY_NAME["lww"].code},
    cell_by_column={"título": Register(STAMP, "naïve café")},
)
SPELLED = spell_row(RowId(b"\5" * 16), ROW)


def _open_batch(raw: bytes) -> object:
    return open_batch(raw, REALM.realm_id, REALM.roster.sign_public)


def _open_page(raw: bytes) -> object:
    return open_page(raw, REALM.realm_id, DEVICE.device_id, DEVICE.public.sign)


def _batch() -> bytes:
    draft = BatchDraft(
        origin=ORIGIN,
        stream=Stream.FILES,
        seq=1,
        prev=NO_PREVIOUS,
        deps=(),
        hlc=HybridTime(7 << 16),
        schemas=(("größe", 1),),
        group=b"",
        layouts=(("tabelle", SPELLED.layout),),
        changes=((0, SPELLED.body, hash_row("tabelle", SPELLED)),),
    )
    return make_batch(draft, salts=bytes(16), realm_id=REALM.realm_id, sign_seed=DEVICE.sign_seed)[0]


def _page() -> bytes:
    return make_page(
        sender=DEVICE.device_id,
        manifest=Manifest(stream=Stream.FILES, snapshot_id=bytes(16), frontier=Frontier(), rows=1),
        index=0,
        section_by_layout={("tabelle", SPELLED.layout): PageSection([(1, STAMP)], [], SPELLED.body)},
        realm_id=REALM.realm_id,
        sign_seed=DEVICE.sign_seed,
    )


@pytest.mark.parametrize(("raw", "opened"), [(_batch(), _open_batch), (_page(), _open_page)], ids=["batch", "page"])
def test_every_flipped_bit_is_refused_and_nothing_else_is_raised(raw: bytes, opened: Callable[[bytes], object]) -> None:
    opened(raw)
    for position in range(len(raw)):
        for bit in range(8):
            altered = bytearray(raw)
            altered[position] ^= 1 << bit
            with pytest.raises((RemoteProtocolError, UnknownAuthor)):
                opened(bytes(altered))


@pytest.mark.parametrize(("raw", "opened"), [(_batch(), _open_batch), (_page(), _open_page)], ids=["batch", "page"])
def test_every_truncation_is_refused(raw: bytes, opened: Callable[[bytes], object]) -> None:
    for length in range(len(raw)):
        with pytest.raises(RemoteProtocolError):
            opened(raw[:length])
