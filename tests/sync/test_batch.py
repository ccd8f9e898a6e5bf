"""A batch opens as it was signed or not at all, a forgotten change keeps it verifiable, and no bytes do harm."""

import random
from collections.abc import Sequence
from hashlib import blake2b

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.identifiers import SEQUENCE_MAX, DeviceId, HybridTime, Origin, make_origin, make_stamp
from crdt.row import hash_body, hash_prefix
from sync import crypto
from sync.batch import NO_PREVIOUS, SALT_BYTES, Batch, BatchDraft, UnknownAuthor, hash_change, make_batch, open_batch
from sync.errors import LocalProtocolError, Rejected, RemoteProtocolError
from sync.frontier import Dependency
from sync.identifiers import BatchHash, RealmId
from sync.limits import BATCH_BYTES_MAX, BATCH_RAW_BYTES_MAX, CHANGES_PER_BATCH_MAX
from sync.packing import PLAIN, ZSTD, unpack
from sync.streams import Stream

SEED = b"s" * 32
PUBLIC = crypto.sign_keypair(SEED).public
DEVICE = DeviceId(b"d" * 32)
ORIGIN = make_origin(DEVICE, b"i" * 8)
OTHER = make_origin(b"e" * 32, b"i" * 8)
REALM = RealmId(b"r" * 32)
LAYOUT = (("body", 1), ("kind", 2))
EARLIER = make_origin(DEVICE, b"earlier!")
HLC = HybridTime(1_795_000_000_000 << 16)


def named(origin: Origin, seq: int) -> Dependency:
    return Dependency(origin, seq, b"p" * 8)


def sign_public(device_id: DeviceId) -> bytes | None:
    return PUBLIC if device_id == DEVICE else None


def rows(bodies: Sequence[str], seq: int = 1) -> list[tuple[int, bytes, bytes]]:
    """Return changes that write each body to a row of its own."""
    prefix = hash_prefix("notes", LAYOUT, make_stamp(HLC, ORIGIN, seq))
    spelled = [msgspec.msgpack.encode([number.to_bytes(16, "big"), 1, body, "k"]) for number, body in enumerate(bodies)]
    return [(0, row, hash_body(prefix, row)) for row in spelled]


def draft(bodies: Sequence[str] = ("a walnut in the oak", "b"), **changes: object) -> BatchDraft:
    fields: dict[str, object] = {
        "origin": ORIGIN,
        "stream": Stream.MEMORIES,
        "seq": 1,
        "prev": NO_PREVIOUS,
        "deps": (named(OTHER, 3),),
        "hlc": HLC,
        "schemas": (("notes", 1),),
        "group": b"",
        "layouts": (("notes", LAYOUT),),
        "changes": rows(bodies),
    }
    return BatchDraft(**(fields | changes))  # type: ignore[arg-type]


def made(bodies: Sequence[str] = ("a walnut in the oak", "b"), /, **changes: object) -> bytes:
    chosen = draft(bodies, **changes)
    salts = random.Random(7).randbytes(SALT_BYTES * len(chosen.changes))
    return make_batch(chosen, salts=salts, realm_id=REALM, sign_seed=SEED)[0]


def opened(raw: bytes) -> Batch:
    return open_batch(raw, REALM, sign_public)


def taken_apart(raw: bytes) -> tuple[bytes, bytes, list[object]]:
    header, signature, codec, packed = msgspec.msgpack.decode(raw)
    return header, signature, msgspec.msgpack.decode(packed if codec == PLAIN else zstandard.decompress(packed))


def put_together(header: bytes, signature: bytes, changes: list[object]) -> bytes:
    return msgspec.msgpack.encode((header, signature, PLAIN, msgspec.msgpack.encode(changes)))


@pytest.mark.parametrize("bodies", [["a"], ["a walnut", "b"], ["x" * 5_000], [str(number) for number in range(500)]])
def test_a_batch_opens_as_it_was_signed(bodies: list[str]) -> None:
    chosen = draft(bodies)
    raw, batch_hash = make_batch(chosen, salts=bytes(16 * len(bodies)), realm_id=REALM, sign_seed=SEED)
    batch = opened(raw)
    assert (batch.hash, batch.author, batch.raw) == (batch_hash, DEVICE, raw)
    assert batch.header.stamp == make_stamp(HLC, ORIGIN, 1)
    assert batch.header.vector.covers(OTHER, 3)
    assert [change[2] for change in batch.changes if isinstance(change, tuple)] == [row for _, row, _ in chosen.changes]
    assert list(batch.row_hashes) == [row_hash for _, _, row_hash in chosen.changes]


def test_the_hash_and_the_signature_cover_what_the_format_says() -> None:
    """Computed by hand from the format, with hashlib alone."""
    raw = made()
    header, signature, changes = taken_apart(raw)
    hashes = b""
    for index, salt, row in msgspec.convert(changes, list[tuple[int, bytes, bytes]]):
        assert index == 0
        spelled = msgspec.msgpack.encode(["notes", [["body", 1], ["kind", 2]]])
        layout = blake2b(spelled, digest_size=32, person=b"nuthatch-layout").digest()
        stamp = HLC.to_bytes(8, "big") + ORIGIN + (1).to_bytes(8, "big")
        row_hash = blake2b(layout + stamp + row, digest_size=32, person=b"nuthatch-row").digest()
        hashes += blake2b(salt + row_hash, digest_size=32, person=b"nuthatch-change").digest()
    head = blake2b(header, digest_size=32, person=b"nuthatch-header").digest()
    body = blake2b(hashes, digest_size=32, person=b"nuthatch-body").digest()
    batch_hash = blake2b(head + body, digest_size=32, person=b"nuthatch-batch").digest()
    assert opened(raw).hash == batch_hash
    label = b"nuthatch/batch/v1"
    crypto.verify(PUBLIC, signature, len(label).to_bytes(4, "big") + label + REALM + batch_hash)


@pytest.mark.parametrize("bodies", [["short"], ["compressed " * 60]])
def test_a_batch_with_any_bit_flipped_is_refused_or_means_the_same(bodies: list[str]) -> None:
    """A compressed frame has bits without a meaning; whatever is accepted must be what was signed."""
    raw = made(bodies)
    batch = opened(raw)
    accepted = 0
    for position in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[position] ^= 1 << bit
            try:
                other = opened(bytes(flipped))
            except (RemoteProtocolError, UnknownAuthor):
                continue
            accepted += 1
            assert (other.hash, other.changes, other.header) == (batch.hash, batch.changes, batch.header)
    assert accepted <= (0 if bodies == ["short"] else 4)


def test_a_truncated_batch_or_one_with_bytes_left_over_is_refused() -> None:
    raw = made()
    for cut in range(len(raw)):
        with pytest.raises(RemoteProtocolError):
            opened(raw[:cut])
    for extra in (b"\0", b"\xc0", raw):
        with pytest.raises(RemoteProtocolError):
            opened(raw + extra)


def test_another_spelling_of_the_same_batch_is_refused() -> None:
    raw = made(["x"])
    header, signature, codec, packed = msgspec.msgpack.decode(raw)
    encode = msgspec.msgpack.encode
    long_header = b"\xc5" + len(header).to_bytes(2, "big") + header
    assert opened(b"\x94" + encode(header) + encode(signature) + encode(codec) + encode(packed)).raw == raw
    with pytest.raises(RemoteProtocolError, match="canonically"):
        opened(b"\x94" + long_header + encode(signature) + encode(codec) + encode(packed))


@pytest.mark.parametrize("realm", [b"R" * 32, bytes(32)])
def test_a_batch_of_another_realm_is_refused(realm: bytes) -> None:
    with pytest.raises(Rejected):
        open_batch(made(), RealmId(realm), sign_public)


def test_a_batch_signed_by_another_key_is_refused() -> None:
    raw, _ = make_batch(draft(), salts=bytes(32), realm_id=REALM, sign_seed=b"t" * 32)
    with pytest.raises(Rejected):
        opened(raw)


def test_the_signature_of_another_kind_of_statement_is_refused() -> None:
    raw = made()
    header, _, changes = taken_apart(raw)
    signature = crypto.sign(SEED, crypto.signed_message("page", REALM, opened(raw).hash))
    with pytest.raises(Rejected):
        opened(put_together(header, signature, changes))


def test_a_batch_of_an_unknown_device_is_no_offence() -> None:
    with pytest.raises(UnknownAuthor):
        open_batch(made(), REALM, lambda device_id: None)


@pytest.mark.parametrize("forgotten", [{0}, {1}, {0, 1, 2}, set(range(40))])
def test_a_batch_whose_changes_were_replaced_by_their_hashes_still_verifies(forgotten: set[int]) -> None:
    raw = made([f"secret {number} " * 20 for number in range(40)])
    header, signature, changes = taken_apart(raw)
    whole = opened(raw)
    kept: list[object] = []
    for position, change in enumerate(changes):
        assert isinstance(change, list)
        kept.append(hash_change(whole.row_hashes[position], change[1]) if position in forgotten else change)
    shorter = opened(put_together(header, signature, kept))
    assert shorter.hash == whole.hash
    for position in range(40):
        assert (shorter.row_hashes[position] == b"") == (position in forgotten)
        assert isinstance(shorter.changes[position], bytes) == (position in forgotten)
    assert all(f"secret {position} ".encode() not in shorter.raw for position in forgotten)


def test_a_change_replaced_by_another_hash_is_refused() -> None:
    header, signature, changes = taken_apart(made())
    with pytest.raises(Rejected):
        opened(put_together(header, signature, [bytes(32), *changes[1:]]))


@pytest.mark.parametrize(
    "tampering", ["swapped", "dropped", "doubled", "salt", "short hash", "layout", "negative layout"]
)
def test_changes_cannot_be_tampered_with(tampering: str) -> None:
    header, signature, changes = taken_apart(made())
    first, second = changes
    assert isinstance(first, list)
    altered: dict[str, list[object]] = {
        "swapped": [second, first],
        "dropped": [first],
        "doubled": [first, first],
        "salt": [[0, bytes(16), first[2]], second],
        "short hash": [bytes(31), second],
        "layout": [[1, first[1], first[2]], second],
        "negative layout": [[-1, first[1], first[2]], second],
    }
    with pytest.raises(RemoteProtocolError):
        opened(put_together(header, signature, altered[tampering]))


OUT_OF_BOUNDS: dict[str, dict[str, object]] = {
    "seq 0": {"seq": 0},
    "seq too great": {"seq": SEQUENCE_MAX + 1, "deps": (named(ORIGIN, SEQUENCE_MAX),), "prev": b"p" * 32},
    "first with a predecessor": {"prev": b"p" * 32},
    "stands for another device": {"stands_for": ((OTHER, 1, bytes(32)),)},
    "stands for itself": {"stands_for": ((ORIGIN, 1, bytes(32)),)},
    "stands for number 0": {"stands_for": ((EARLIER, 0, bytes(32)),)},
    "stands for half a hash": {"stands_for": ((EARLIER, 1, bytes(16)),)},
    "stands for too much": {"stands_for": tuple((EARLIER, seq, bytes(32)) for seq in range(1, 18))},
    "second without one": {"seq": 2, "deps": (named(ORIGIN, 1),)},
    "second that did not see the first": {"seq": 2, "prev": b"p" * 32, "deps": ()},
    "short predecessor": {"seq": 2, "prev": b"p" * 31, "deps": (named(ORIGIN, 1),)},
    "saw itself": {"deps": (named(ORIGIN, 1),)},
    "deps out of order": {"deps": (named(OTHER, 1), named(make_origin(b"c" * 32, b"i" * 8), 1))},
    "deps twice": {"deps": (named(OTHER, 1), named(OTHER, 1))},
    "a dep on nothing": {"deps": (named(OTHER, 0),)},
    "a dep on no origin": {"deps": (named(Origin(b"short"), 1),)},
    "a dep without its hash": {"deps": (Dependency(OTHER, 1, b""),)},
    "a dep with a whole hash": {"deps": (Dependency(OTHER, 1, b"p" * 32),)},
    "another predecessor in the deps": {"seq": 2, "prev": b"p" * 32, "deps": (Dependency(ORIGIN, 1, b"q" * 8),)},
    "short origin": {"origin": Origin(b"short")},
    "time 0": {"hlc": 0},
    "a group of 15 bytes": {"group": b"g" * 15},
    "no layout": {"layouts": ()},
    "columns out of order": {"layouts": (("notes", (("kind", 2), ("body", 1))),)},
    "a column twice": {"layouts": (("notes", (("body", 1), ("body", 1))),)},
    "strategy 0": {"layouts": (("notes", (("body", 0), ("kind", 2))),)},
    "strategy 256": {"layouts": (("notes", (("body", 256), ("kind", 2))),)},
    "no change": {"changes": []},
}


@pytest.mark.parametrize("flaw", OUT_OF_BOUNDS)
def test_a_signed_header_out_of_bounds_is_refused(flaw: str) -> None:
    raw = made(**OUT_OF_BOUNDS[flaw])
    with pytest.raises(RemoteProtocolError):
        opened(raw)


def test_a_strategy_of_a_newer_version_is_no_offence() -> None:
    layout = (("body", 200), ("kind", 2))
    prefix = hash_prefix("notes", layout, make_stamp(HLC, ORIGIN, 1))
    row = msgspec.msgpack.encode([bytes(16), 1, ["anything"], "k"])
    raw = made(layouts=(("notes", layout),), changes=[(0, row, hash_body(prefix, row))])
    assert opened(raw).header.layouts == (("notes", layout),)


def test_a_transaction_larger_than_a_batch_is_refused_at_its_writer() -> None:
    too_long = (0, bytes(BATCH_RAW_BYTES_MAX), bytes(32))
    with pytest.raises(LocalProtocolError, match="several transactions"):
        make_batch(draft(changes=[too_long]), salts=bytes(16), realm_id=REALM, sign_seed=SEED)
    too_many = [(0, b"", bytes(32))] * (CHANGES_PER_BATCH_MAX + 1)
    with pytest.raises(LocalProtocolError, match="100,001 rows"):
        make_batch(draft(changes=too_many), salts=bytes(16 * len(too_many)), realm_id=REALM, sign_seed=SEED)


def test_a_batch_may_stand_for_one_that_its_device_wrote_under_another_name_and_for_forgotten_changes() -> None:
    stood_for = ((EARLIER, 7, BatchHash(b"h" * 32)),)
    batch = opened(made(stands_for=stood_for, forgotten=(b"f" * 32,)))
    assert batch.header.stands_for == stood_for
    assert batch.header.count == 3
    assert batch.changes[-1] == b"f" * 32


def test_the_largest_batch_with_its_header_fits_what_a_receiver_takes() -> None:
    noise = random.Random(1).randbytes(BATCH_RAW_BYTES_MAX - 40)
    with pytest.raises(LocalProtocolError, match="several transactions"):
        make_batch(draft(changes=[(0, noise, bytes(32))]), salts=bytes(16), realm_id=REALM, sign_seed=SEED)
    fitting = noise[: -2 * 1024]
    stamp = make_stamp(HLC, ORIGIN, 1)
    change = (0, fitting, hash_body(hash_prefix("notes", LAYOUT, stamp), fitting))
    raw, _ = make_batch(draft(changes=[change]), salts=bytes(16), realm_id=REALM, sign_seed=SEED)
    assert len(raw) <= BATCH_BYTES_MAX
    assert opened(raw).changes[0][2] == fitting
    with pytest.raises(RemoteProtocolError, match="larger"):
        opened(raw + bytes(BATCH_BYTES_MAX))


def bomb(size: int, *, sized: bool = True) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1, write_content_size=sized).compressobj(size=size if sized else -1)
    return compressor.compress(bytes(size)) + compressor.flush()


@pytest.mark.parametrize(
    ("codec", "packed", "limit"),
    [
        (ZSTD, bomb(1_000_001), 1_000_000),
        (ZSTD, bomb(64 * 2**20), BATCH_RAW_BYTES_MAX),
        (ZSTD, bomb(1_000, sized=False), 1_000_000),
        (ZSTD, bomb(1_000) + b"left over", 1_000_000),
        (ZSTD, bomb(1_000)[:-1], 1_000_000),
        (ZSTD, bomb(1_000) + bomb(1_000), 1_000_000),
        (ZSTD, b"", 1_000),
        (ZSTD, b"no zstd at all", 1_000),
        (PLAIN, bytes(1_001), 1_000),
        (2, bytes(10), 1_000),
        (-1, bytes(10), 1_000),
    ],
)
def test_a_body_that_would_inflate_beyond_its_bounds_is_refused(codec: int, packed: bytes, limit: int) -> None:
    with pytest.raises(RemoteProtocolError):
        unpack(codec, packed, limit)


def test_a_frame_that_lies_about_its_size_is_refused_without_inflating() -> None:
    honest = bytearray(bomb(64 * 2**20))
    assert zstandard.frame_content_size(bytes(honest)) == 64 * 2**20
    position = bytes(honest).index((64 * 2**20).to_bytes(4, "little"))
    honest[position : position + 4] = (1_000).to_bytes(4, "little")
    with pytest.raises(RemoteProtocolError):
        unpack(ZSTD, bytes(honest), 1_000_000)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(data=st.data())
def test_no_bytes_raise_anything_but_a_verdict_on_the_peer(data: st.DataObject) -> None:
    raw = made()
    header, signature, changes = taken_apart(raw)
    anything = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=64) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=6),
        max_leaves=12,
    )
    fields: list[object] = msgspec.msgpack.decode(header)
    position = data.draw(st.integers(0, len(fields)))
    shape = data.draw(st.sampled_from(["bytes", "outer", "header", "changes", "nested"]))
    if shape == "bytes":
        candidate = data.draw(st.binary(max_size=200))
    elif shape == "outer":
        candidate = msgspec.msgpack.encode(data.draw(anything))
    elif shape == "header":
        fields[position : position + 1] = [data.draw(anything)]
        candidate = put_together(msgspec.msgpack.encode(fields), signature, changes)
    elif shape == "changes":
        changes[data.draw(st.integers(0, 1))] = data.draw(anything)
        candidate = put_together(header, signature, changes)
    else:
        deep = b"\x91" * data.draw(st.integers(1, 3_000)) + b"\xc0"
        candidate = msgspec.msgpack.encode((deep, signature, PLAIN, deep))
    try:
        batch = opened(candidate)
    except (RemoteProtocolError, UnknownAuthor):
        return
    assert batch.raw == raw, "only the batch as it was may open"


def test_batch_hashes_of_different_batches_differ() -> None:
    hashes: set[BatchHash] = {opened(made([body])).hash for body in ("a", "b", "c")}
    hashes.add(opened(made(["a"], stream=Stream.FILES)).hash)
    assert len(hashes) == 4
