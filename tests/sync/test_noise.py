"""Checks the Noise channel against an independent implementation, and against tampering of every kind."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noise.connection import Keypair, NoiseConnection

from sync.crypto import x25519_keypair
from sync.errors import LocalProtocolError, Rejected
from sync.limits import NOISE_PLAINTEXT_BYTES_MAX, NOISE_REKEY_MESSAGES
from sync.noise import PROTOCOL_NAME, NoiseHandshake, NoiseTransport

# The package warns of fixed ephemeral keys, which only a test may have.
pytestmark = pytest.mark.filterwarnings("ignore:One of ephemeral keypairs is already set")

STATIC = {True: b"I" * 32, False: b"R" * 32}
EPHEMERAL = {True: b"i" * 32, False: b"r" * 32}
PSK = b"p" * 32
PROLOGUE = b"nuthatch-sess/1"


def ours(initiator: bool, *, psk: bytes = PSK, prologue: bytes = PROLOGUE) -> NoiseHandshake:
    return NoiseHandshake(
        initiator=initiator,
        static_secret=STATIC[initiator],
        ephemeral_secret=EPHEMERAL[initiator],
        psk=psk,
        prologue=prologue,
    )


def theirs(initiator: bool) -> NoiseConnection:
    connection = NoiseConnection.from_name(PROTOCOL_NAME)
    connection.set_as_initiator() if initiator else connection.set_as_responder()
    connection.set_psks(PSK)
    connection.set_prologue(PROLOGUE)
    connection.set_keypair_from_private_bytes(Keypair.STATIC, STATIC[initiator])
    connection.set_keypair_from_private_bytes(Keypair.EPHEMERAL, EPHEMERAL[initiator])
    connection.start_handshake()
    return connection


def shake_hands(initiator: NoiseHandshake, responder: NoiseHandshake) -> tuple[NoiseTransport, NoiseTransport]:
    responder.read_message(initiator.write_message())
    initiator.read_message(responder.write_message())
    responder.read_message(initiator.write_message())
    return initiator.split(), responder.split()


@pytest.mark.parametrize("initiator", [True, False])
def test_a_handshake_with_the_package_noiseprotocol_agrees_in_both_roles(initiator: bool) -> None:
    mine, other = ours(initiator), theirs(not initiator)
    for number, payload in enumerate((b"", b"second", b"x" * 1000)):
        if (number % 2 == 0) == initiator:
            assert bytes(other.read_message(mine.write_message(payload))) == payload
        else:
            assert mine.read_message(bytes(other.write_message(payload))) == payload
    assert mine.done
    assert mine.handshake_hash == other.get_handshake_hash()
    assert mine.remote_static == x25519_keypair(STATIC[not initiator]).public
    transport = mine.split()
    for length in (0, 1, NOISE_PLAINTEXT_BYTES_MAX):
        assert bytes(other.decrypt(transport.encrypt(b"a" * length))) == b"a" * length
        assert transport.decrypt(bytes(other.encrypt(b"b" * length))) == b"b" * length


@pytest.mark.parametrize("initiator", [True, False])
def test_every_handshake_message_is_byte_for_byte_that_of_noiseprotocol(initiator: bool) -> None:
    mine, reference = ours(initiator), theirs(initiator)
    peer_of_mine, peer_of_reference = ours(not initiator), theirs(not initiator)
    for number, payload in enumerate((b"one", b"two", b"three")):
        if (number % 2 == 0) == initiator:
            message = mine.write_message(payload)
            assert message == bytes(reference.write_message(payload))
            peer_of_mine.read_message(message)
            peer_of_reference.read_message(message)
        else:
            message = peer_of_mine.write_message(payload)
            assert message == bytes(peer_of_reference.write_message(payload))
            assert mine.read_message(message) == bytes(reference.read_message(message)) == payload


def test_both_ends_change_keys_in_step_with_each_other_and_with_noiseprotocol() -> None:
    mine, other = ours(True), theirs(False)
    other.read_message(mine.write_message())
    mine.read_message(bytes(other.write_message()))
    other.read_message(mine.write_message())
    transport = mine.split()
    for _ in range(NOISE_REKEY_MESSAGES):
        transport.encrypt(b"")
    # The reference is told when to change its key and how many messages went before; ours must do so by itself.
    receiving = other.noise_protocol.cipher_state_decrypt
    receiving.n = NOISE_REKEY_MESSAGES
    message = transport.encrypt(b"after the change")
    other.rekey_inbound_cipher()
    assert bytes(other.decrypt(message)) == b"after the change"


def test_a_channel_still_works_after_both_directions_changed_their_keys() -> None:
    initiator, responder = shake_hands(ours(True), ours(False))
    for sender, receiver in ((initiator, responder), (responder, initiator)):
        for number in range(NOISE_REKEY_MESSAGES + 2):
            plaintext = number.to_bytes(4, "big")
            assert receiver.decrypt(sender.encrypt(plaintext)) == plaintext


def test_the_key_of_a_direction_changes_exactly_when_due() -> None:
    # A receiver that has not counted the last message holds the old key and another nonce: it can open neither.
    initiator, responder = shake_hands(ours(True), ours(False))
    messages = [initiator.encrypt(b"") for _ in range(NOISE_REKEY_MESSAGES + 1)]
    for message in messages[:-2]:
        responder.decrypt(message)
    with pytest.raises(Rejected):
        responder.decrypt(messages[-1])


@pytest.mark.parametrize("message_number", [0, 1, 2])
def test_a_handshake_message_with_any_byte_changed_is_rejected(message_number: int) -> None:
    recorded = _recorded_messages()
    for position in range(len(recorded[message_number])):
        reader = _reader_before(message_number, recorded)
        changed = bytearray(recorded[message_number])
        changed[position] ^= 0x40
        with pytest.raises(Rejected):
            reader.read_message(bytes(changed))


@pytest.mark.parametrize("message_number", [0, 1, 2])
def test_a_handshake_message_of_any_other_length_is_rejected(message_number: int) -> None:
    recorded = _recorded_messages()
    whole = recorded[message_number]
    for changed in (*(whole[:length] for length in range(len(whole))), whole + b"\0", bytes(65_536)):
        with pytest.raises(Rejected):
            _reader_before(message_number, recorded).read_message(changed)


def test_a_wrong_key_or_prologue_is_rejected_at_the_first_message() -> None:
    for other in (ours(False, psk=b"q" * 32), ours(False, prologue=b"nuthatch-sess/2"), ours(False, prologue=b"")):
        with pytest.raises(Rejected):
            other.read_message(ours(True).write_message())
        assert other.remote_static is None


def test_a_rejected_handshake_is_dead_for_good() -> None:
    recorded = _recorded_messages()
    reader = _reader_before(1, recorded)
    with pytest.raises(Rejected):
        reader.read_message(recorded[1][:-1])
    with pytest.raises(Rejected):
        reader.read_message(recorded[1])
    with pytest.raises(LocalProtocolError):
        reader.write_message()
    with pytest.raises(LocalProtocolError):
        reader.split()
    assert not reader.done


def test_messages_of_another_handshake_are_rejected() -> None:
    recorded = _recorded_messages()
    initiator = NoiseHandshake(
        initiator=True, static_secret=STATIC[True], ephemeral_secret=b"j" * 32, psk=PSK, prologue=PROLOGUE
    )
    initiator.write_message()
    with pytest.raises(Rejected):
        initiator.read_message(recorded[1])


@given(st.binary(max_size=200))
@settings(derandomize=True, max_examples=200)
def test_any_bytes_at_all_are_rejected_by_every_state(junk: bytes) -> None:
    recorded = _recorded_messages()
    for message_number in range(3):
        with pytest.raises(Rejected):
            _reader_before(message_number, recorded).read_message(junk)
    _, responder = shake_hands(ours(True), ours(False))
    with pytest.raises(Rejected):
        responder.decrypt(junk)


def test_a_step_out_of_turn_is_our_own_error() -> None:
    initiator, responder = ours(True), ours(False)
    with pytest.raises(LocalProtocolError):
        responder.write_message()
    with pytest.raises(LocalProtocolError):
        initiator.read_message(b"")
    with pytest.raises(LocalProtocolError):
        initiator.split()
    with pytest.raises(LocalProtocolError):
        _ = initiator.handshake_hash
    shake_hands(initiator, responder)
    with pytest.raises(LocalProtocolError):
        initiator.split()
    with pytest.raises(LocalProtocolError):
        responder.write_message()


def test_a_message_that_would_be_too_long_is_our_own_error() -> None:
    with pytest.raises(LocalProtocolError):
        ours(True).write_message(bytes(65_535))
    initiator, responder = shake_hands(ours(True), ours(False))
    with pytest.raises(LocalProtocolError):
        initiator.encrypt(bytes(NOISE_PLAINTEXT_BYTES_MAX + 1))
    assert responder.decrypt(initiator.encrypt(b"still in step")) == b"still in step"


def test_a_replayed_reordered_or_reflected_message_breaks_the_channel() -> None:
    for order in ([0, 0], [1], [0, 2]):
        initiator, responder = shake_hands(ours(True), ours(False))
        messages = [initiator.encrypt(bytes([number])) for number in range(3)]
        for number in order[:-1]:
            responder.decrypt(messages[number])
        with pytest.raises(Rejected):
            responder.decrypt(messages[order[-1]])
        with pytest.raises(Rejected):
            responder.decrypt(messages[0])
    initiator, _ = shake_hands(ours(True), ours(False))
    with pytest.raises(Rejected):
        initiator.decrypt(initiator.encrypt(b"to the other"))


@pytest.mark.parametrize("argument", ["static_secret", "ephemeral_secret", "psk"])
def test_a_key_of_a_wrong_length_is_rejected_when_the_handshake_is_made(argument: str) -> None:
    keys = {"static_secret": STATIC[True], "ephemeral_secret": EPHEMERAL[True], "psk": PSK}
    for wrong in (b"", bytes(31), bytes(33)):
        with pytest.raises(Rejected):
            NoiseHandshake(initiator=True, prologue=PROLOGUE, **{**keys, argument: wrong})


def test_equal_payloads_never_give_equal_messages() -> None:
    initiator, responder = shake_hands(ours(True), ours(False))
    messages = sorted([initiator.encrypt(b"same") for _ in range(50)] + [responder.encrypt(b"same") for _ in range(50)])
    assert all(first != second for first, second in pairwise(messages))


def _recorded_messages() -> list[bytes]:
    initiator, responder = ours(True), ours(False)
    first = initiator.write_message()
    responder.read_message(first)
    second = responder.write_message()
    initiator.read_message(second)
    return [first, second, initiator.write_message()]


def _reader_before(message_number: int, recorded: list[bytes]) -> NoiseHandshake:
    reader = ours(message_number == 1)
    if message_number == 1:
        reader.write_message()
    if message_number == 2:
        reader.read_message(recorded[0])
        reader.write_message()
    return reader
