"""Statements are read in one encoding only, and a signature of one kind or realm is none of another."""

from random import Random

import pytest
from msgspec.msgpack import decode as decode_anything
from msgspec.msgpack import encode

from sync.crypto import sign_keypair
from sync.errors import LocalProtocolError, Rejected, RemoteProtocolError
from sync.identifiers import RealmId
from sync.limits import STATEMENT_BYTES_MAX
from sync.statements import (
    ACTIVE_DEVICES_MAX,
    HEADS_MAX,
    SIGNATURE_LABELS,
    WRAP_BYTES,
    Beat,
    Epoch,
    Genesis,
    Wrap,
    assemble,
    decode_statement,
    encode_body,
    read_frontiers,
    sign_body,
    sign_statement,
    state_frontiers,
    statement_hash,
)
from tests.support.realm_factory import found_realm
from tests.support.roster_scenarios import beat, frontiers, recovery_seed, revoke, rotate, seen

REALM = found_realm(devices=2)
STATE = REALM.state()
EXAMPLES = [
    *REALM.statements,
    beat(STATE, REALM.devices[0]),
    revoke(STATE, REALM.devices[1].device_id, REALM.owner_seed, cut_seq=4),
    seen(STATE, REALM.devices[0], STATE.heads[0], frontiers(REALM.devices[1].device_id, 3)),
    rotate(STATE, recovery_seed(), REALM.entropy, cut=STATE.heads)[0],
]


def test_the_examples_are_of_every_kind() -> None:
    assert {type(decode_statement(raw).body) for raw in EXAMPLES} == set(SIGNATURE_LABELS)


@pytest.mark.parametrize("raw", EXAMPLES)
def test_a_statement_survives_being_taken_apart_and_put_together(raw: bytes) -> None:
    statement = decode_statement(raw)
    assert encode_body(statement.body) == statement.body_raw
    assert assemble(statement.body_raw, statement.signatures) == raw
    assert statement.hash == statement_hash(raw)


@pytest.mark.parametrize("raw", EXAMPLES)
def test_no_other_encoding_of_the_same_statement_is_read(raw: bytes) -> None:
    body, signatures = decode_anything(raw)
    fields = decode_anything(body)
    tag = fields[0]
    longer_tag = body[:1] + b"\xcc" + bytes([tag]) + body[2:]
    for other in (
        raw + b"\0",
        raw[:-1],
        encode([body, signatures, 0]),
        encode([encode([*fields, 0]), signatures]),
        encode([longer_tag, signatures]),
        encode([body, signatures + signatures]),
        encode([body, []]),
        encode([body, [signatures[0][:-1], *signatures[1:]]]),
    ):
        with pytest.raises(RemoteProtocolError):
            decode_statement(other)


def test_random_changes_never_escape_as_another_exception() -> None:
    random = Random(5)
    for raw in EXAMPLES:
        for _ in range(150):
            changed = bytearray(raw)
            for _ in range(random.randint(1, 4)):
                changed[random.randrange(len(changed))] = random.randrange(256)
            try:
                statement = decode_statement(bytes(changed[: random.randint(1, len(changed))]))
            except RemoteProtocolError:
                continue
            assert assemble(statement.body_raw, statement.signatures) == statement.raw


def test_a_signature_counts_for_its_own_kind_and_realm_only() -> None:
    keys = REALM.devices[0]
    body = Beat(author=keys.device_id, at_milliseconds=1, frontiers=(), heads=())
    statement = decode_statement(sign_statement(body, REALM.realm_id, keys.sign_seed))
    statement.verify(REALM.realm_id, keys.public.sign)
    with pytest.raises(Rejected):
        statement.verify(RealmId(bytes(32)), keys.public.sign)
    with pytest.raises(Rejected):
        statement.verify(REALM.realm_id, REALM.devices[1].public.sign)
    labels = {label for kind in SIGNATURE_LABELS.values() for label in kind} | {"devself", "batch"}
    for label in labels - {"beat"}:
        signature = sign_body(keys.sign_seed, label, REALM.realm_id, statement.body_raw)
        with pytest.raises(Rejected):
            decode_statement(assemble(statement.body_raw, [signature])).verify(REALM.realm_id, keys.public.sign)


def test_the_largest_epoch_fits_a_statement() -> None:
    body = Epoch(
        author=REALM.devices[0].device_id,
        number=2**63 - 1,
        key_id=bytes(32),
        minted_at_milliseconds=2**48 - 1,
        wraps=tuple(
            Wrap(type(REALM.devices[0].device_id)(index.to_bytes(32, "big")), bytes(WRAP_BYTES))
            for index in range(ACTIVE_DEVICES_MAX)
        ),
        heads=tuple(statement_hash(bytes([index])) for index in range(HEADS_MAX)),
    )
    ordered = Epoch(**{**{f: getattr(body, f) for f in body.__struct_fields__}, "heads": tuple(sorted(body.heads))})
    assert len(sign_statement(ordered, REALM.realm_id, bytes(32))) <= STATEMENT_BYTES_MAX
    with pytest.raises(LocalProtocolError):
        encode_body(body)


def test_a_cut_may_only_name_batches_of_the_revoked_device() -> None:
    raw = EXAMPLES[-3]
    body, signatures = decode_anything(raw)
    fields = decode_anything(body)
    fields[2] = REALM.devices[0].device_id
    with pytest.raises(RemoteProtocolError):
        decode_statement(encode([encode(fields), signatures]))


def test_frontiers_survive_the_statement() -> None:
    parts = frontiers(REALM.devices[0].device_id, 12)
    assert state_frontiers(read_frontiers(parts)) == parts


def test_a_genesis_takes_one_signature() -> None:
    public = sign_keypair(bytes(32)).public
    genesis = Genesis(root_public=public, root_seal_public=public, owner_public=public, recovery_salt=bytes(16))
    with pytest.raises(LocalProtocolError):
        sign_statement(genesis, REALM.realm_id, bytes(32), bytes(32))
