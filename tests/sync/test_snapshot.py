"""A snapshot page is what its sender signed, within bounds, or nothing."""

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.identifiers import SEQUENCE_MAX, DeviceId, Origin, make_stamp
from sync import crypto
from sync.errors import Rejected, RemoteProtocolError
from sync.frontier import EMPTY_FRONTIER, Frontier, FrontierEntry
from sync.identifiers import RealmId
from sync.packing import PLAIN
from sync.snapshot import Manifest, Page, PageSection, SectionDraft, make_page, open_page
from sync.streams import Stream

SEED = b"s" * 32
PUBLIC = crypto.sign_keypair(SEED).public
SENDER = DeviceId(b"d" * 32)
REALM = RealmId(b"r" * 32)
LAYOUTS = (("notes", (("body", 1), ("kind", 2))), ("tags", (("names", 3),)))
ORIGIN = Origin(b"o" * 40)
STAMP = make_stamp(5, ORIGIN, 1)
SECTIONS: list[PageSection] = [
    PageSection([(2, STAMP)], [(1, [(1, make_stamp(6, ORIGIN, 2))])], b"rows one and two"),
    PageSection([(1, STAMP)], [], b"row three"),
]


def made(
    sections: list[PageSection] = SECTIONS,
    *,
    seed: bytes = SEED,
    index: int = 0,
    snapshot_id: bytes = b"snapshot id 16 b",
) -> bytes:
    manifest = Manifest(stream=Stream.MEMORIES, snapshot_id=snapshot_id, frontier=EMPTY_FRONTIER, rows=3)
    return make_page(
        sender=SENDER,
        manifest=manifest,
        index=index,
        section_by_layout=dict(zip(LAYOUTS, sections, strict=False)),
        realm_id=REALM,
        sign_seed=seed,
    )


def opened(raw: bytes) -> Page:
    return open_page(raw, REALM, SENDER, PUBLIC)


def resigned(body: object, *, fields: dict[int, object] | None = None) -> bytes:
    """Return the page with another body, and other fields of its header, as its sender could sign it."""
    header: list[object] = msgspec.msgpack.decode(msgspec.msgpack.decode(made())[0])
    packed = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
    header[7], header[8] = len(packed), crypto.hash256(packed, person=b"nuthatch-page")
    for position, value in (fields or {}).items():
        header[position] = value
    said = msgspec.msgpack.encode(header)
    signature = crypto.sign(SEED, crypto.signed_message("page", REALM, said))
    return msgspec.msgpack.encode((said, signature, PLAIN, packed))


@pytest.mark.parametrize("sections", [[], SECTIONS, [PageSection([(50, STAMP)], [], b"x" * 45_000)]])
def test_a_page_opens_as_it_was_signed(sections: list[PageSection]) -> None:
    page = opened(made(sections, index=3))
    assert page.sections == sections
    assert (page.header.index, page.header.sender, page.header.stream) == (3, SENDER, Stream.MEMORIES)
    assert page.header.count == sum(section.row_count() for section in sections)


def test_rows_that_are_gathered_come_in_runs_of_one_birth() -> None:
    draft = SectionDraft()
    later = make_stamp(6, ORIGIN, 2)
    draft.add([STAMP], [b"a"])
    draft.add([STAMP], [b"b"], ((0, later),))
    draft.add([later, STAMP, STAMP], [b"c", b"d", b"e"])
    section = draft.finish()
    assert section == PageSection([(2, STAMP), (1, later), (2, STAMP)], [(1, [(0, later)])], b"abcde")
    assert (section.row_count(), section.all_stamps()) == (5, {STAMP, later})


@pytest.mark.parametrize("sections", [SECTIONS, [PageSection([(1, STAMP)], [], b"compressed " * 60)]])
def test_a_page_with_any_bit_flipped_is_refused_or_means_the_same(sections: list[PageSection]) -> None:
    raw = made(sections)
    page = opened(raw)
    accepted = 0
    for position in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[position] ^= 1 << bit
            try:
                other = opened(bytes(flipped))
            except RemoteProtocolError:
                continue
            accepted += 1
            assert other == page
    assert accepted <= 4


def test_a_truncated_page_or_one_with_bytes_left_over_is_refused() -> None:
    raw = made()
    for cut in range(len(raw)):
        with pytest.raises(RemoteProtocolError):
            opened(raw[:cut])
    with pytest.raises(RemoteProtocolError):
        opened(raw + b"\0")


def test_a_page_of_another_sender_realm_or_key_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        open_page(made(), REALM, DeviceId(b"e" * 32), PUBLIC)
    with pytest.raises(Rejected):
        open_page(made(), RealmId(bytes(32)), SENDER, PUBLIC)
    with pytest.raises(Rejected):
        opened(made(seed=b"t" * 32))


OUT_OF_BOUNDS: dict[str, PageSection] = {
    "no birth at all": PageSection([], [], b""),
    "a birth of no row": PageSection([(0, STAMP)], [], b""),
    "a birth of less than no row": PageSection([(2, STAMP), (-1, make_stamp(6, ORIGIN, 2))], [], b"row"),
    "a run that goes on in another": PageSection([(1, STAMP), (1, STAMP)], [], b"row"),
    "a short stamp": PageSection([(1, STAMP[:-1])], [], b"row"),
    "a number that no database holds": PageSection([(1, make_stamp(5, ORIGIN, SEQUENCE_MAX + 1))], [], b"row"),
    "a cell's stamp that is short": PageSection([(1, STAMP)], [(0, [(0, b"stamp")])], b"row"),
    "a cell's number that no database holds": PageSection(
        [(1, STAMP)], [(0, [(0, make_stamp(5, ORIGIN, 2**40))])], b"row"
    ),
    "a stamp for no column": PageSection([(1, STAMP)], [(0, [(2, STAMP)])], b"row"),
    "two stamps for one column": PageSection([(1, STAMP)], [(0, [(0, STAMP), (0, STAMP)])], b"row"),
    "stamps out of order": PageSection([(1, STAMP)], [(0, [(1, STAMP), (0, STAMP)])], b"row"),
    "stamps that are none": PageSection([(1, STAMP)], [(0, [])], b"row"),
    "stamps of no row": PageSection([(1, STAMP)], [(1, [(0, STAMP)])], b"row"),
    "rows with stamps out of order": PageSection([(2, STAMP)], [(1, [(0, STAMP)]), (0, [(0, STAMP)])], b"row"),
}


@pytest.mark.parametrize("flaw", OUT_OF_BOUNDS)
def test_a_signed_page_out_of_bounds_is_refused(flaw: str) -> None:
    with pytest.raises(RemoteProtocolError, match="out of bounds"):
        opened(made([OUT_OF_BOUNDS[flaw]]))


def test_a_signed_page_whose_layouts_are_not_its_sections_is_refused() -> None:
    layouts = msgspec.msgpack.decode(msgspec.msgpack.decode(made())[0])[5]
    assert opened(resigned(SECTIONS)).sections == SECTIONS
    with pytest.raises(RemoteProtocolError, match="one section for each layout"):
        opened(resigned(SECTIONS[:1]))
    with pytest.raises(RemoteProtocolError, match="out of bounds"):
        opened(resigned(SECTIONS, fields={5: [layouts[0], layouts[0]]}))
    with pytest.raises(RemoteProtocolError, match="another number of rows"):
        opened(resigned(SECTIONS, fields={6: 4}))


def test_a_signed_page_of_another_spelling_is_refused() -> None:
    body = msgspec.msgpack.encode(SECTIONS)
    assert body[:1] == b"\x92"
    with pytest.raises(RemoteProtocolError, match="canonically"):
        opened(resigned(b"\xdc\0\x02" + body[1:]))


@pytest.mark.parametrize("snapshot_id", [b"", b"short", b"x" * 17])
def test_a_snapshot_id_of_another_length_is_refused(snapshot_id: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        opened(made(snapshot_id=snapshot_id))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(data=st.data())
def test_no_bytes_raise_anything_but_a_verdict_on_the_peer(data: st.DataObject) -> None:
    raw = made()
    header, signature, codec, packed = msgspec.msgpack.decode(raw)
    anything = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=64) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=6),
        max_leaves=12,
    )
    shape = data.draw(st.sampled_from(["bytes", "header", "body", "resigned"]))
    if shape == "bytes":
        candidate = data.draw(st.binary(max_size=200))
    elif shape == "body":
        candidate = msgspec.msgpack.encode((header, signature, codec, msgspec.msgpack.encode(data.draw(anything))))
    else:
        fields: list[object] = msgspec.msgpack.decode(header)
        position = data.draw(st.integers(0, len(fields)))
        fields[position : position + 1] = [data.draw(anything)]
        altered = msgspec.msgpack.encode(fields)
        if shape == "resigned":
            signature = crypto.sign(SEED, crypto.signed_message("page", REALM, altered))
        candidate = msgspec.msgpack.encode((altered, signature, codec, packed))
    try:
        opened(candidate)
    except RemoteProtocolError:
        return
    assert shape == "resigned"


def test_signed_rows_that_nest_without_end_are_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        opened(resigned(b"\x91" * 100_000 + b"\xc0"))


def test_a_compressed_page_is_compressed() -> None:
    raw = made([PageSection([(1, STAMP)], [], b"x" * 5_000)])
    assert len(raw) < 1_000
    assert zstandard.frame_content_size(msgspec.msgpack.decode(raw)[3]) > 5_000


def reaching(*seqs: int) -> Frontier:
    """Return a frontier of as many origins, each at its number."""
    return Frontier(
        {Origin(bytes([number]) * 40): FrontierEntry(seq, bytes([seq]) * 8) for number, seq in enumerate(seqs) if seq}
    )


@pytest.mark.parametrize(
    ("claim", "frontier", "log_base", "held", "useful"),
    [
        pytest.param((3, 3), (5, 5), (), (), True, id="a newcomer, and a log that holds everything"),
        pytest.param((3, 3), (5, 5), (3, 3), (), True, id="a log that begins where both together reach"),
        pytest.param((3, 3), (5, 5), (3, 4), (), False, id="a log that begins beyond what both reach"),
        pytest.param((3, 3), (5, 5), (3, 4), (0, 4), True, id="a log that the receiver's own frontier reaches"),
        pytest.param((3, 3), (5, 5), (), (3, 4), False, id="nothing that the receiver does not hold"),
        pytest.param((3, 0), (0, 5), (), (), False, id="senders that have nothing in common"),
    ],
)
def test_going_on_with_a_snapshot_is_of_use_only_if_its_end_reaches_the_senders_log(
    claim: tuple[int, ...], frontier: tuple[int, ...], log_base: tuple[int, ...], held: tuple[int, ...], useful: bool
) -> None:
    manifest = Manifest(
        stream=Stream.MEMORIES,
        snapshot_id=bytes(16),
        frontier=reaching(*frontier),
        rows=3,
        log_base=reaching(*log_base),
    )
    assert manifest.can_finish(reaching(*claim), reaching(*held)) is useful
