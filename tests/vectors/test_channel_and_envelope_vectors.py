"""Checks that the bytes on the wire are those of the frozen vectors: a change of format cannot pass unnoticed."""

from pathlib import Path
from typing import Any

import msgspec

from sync.envelope import epoch_key_id, open_envelope, seal_envelope
from sync.noise import PROTOCOL_NAME, NoiseHandshake

VECTORS = Path(__file__).parent


def _load(name: str) -> dict[str, Any]:
    vector: dict[str, Any] = msgspec.json.decode((VECTORS / name).read_bytes())
    return vector


def test_a_noise_session_is_byte_for_byte_the_recorded_one() -> None:
    vector = _load("noise_xxpsk0.json")
    assert vector["protocol_name"] == PROTOCOL_NAME.decode()
    initiator, responder = (
        NoiseHandshake(
            initiator=role == "initiator",
            static_secret=bytes.fromhex(vector[f"{role}_static"]),
            ephemeral_secret=bytes.fromhex(vector[f"{role}_ephemeral"]),
            psk=bytes.fromhex(vector["psk"]),
            prologue=bytes.fromhex(vector["prologue"]),
        )
        for role in ("initiator", "responder")
    )
    messages = [(bytes.fromhex(entry["payload"]), bytes.fromhex(entry["message"])) for entry in vector["messages"]]
    for number, (payload, message) in enumerate(messages[:3]):
        writer, reader = (initiator, responder) if number % 2 == 0 else (responder, initiator)
        assert writer.write_message(payload) == message
        assert reader.read_message(message) == payload
    assert initiator.handshake_hash == responder.handshake_hash == bytes.fromhex(vector["handshake_hash"])
    from_initiator, from_responder = initiator.split(), responder.split()
    for sender, receiver, (payload, message) in (
        (from_responder, from_initiator, messages[3]),
        (from_initiator, from_responder, messages[4]),
    ):
        assert sender.encrypt(payload) == message
        assert receiver.decrypt(message) == payload


def test_an_envelope_is_byte_for_byte_the_recorded_one() -> None:
    vector = _load("envelope.json")
    realm_id, epoch_key = bytes.fromhex(vector["realm_id"]), bytes.fromhex(vector["epoch_key"])
    items, raw = [bytes.fromhex(item) for item in vector["items"]], bytes.fromhex(vector["envelope"])
    assert epoch_key_id(epoch_key).hex() == vector["key_id"]
    nonce = bytes.fromhex(vector["nonce"])
    assert seal_envelope(realm_id=realm_id, epoch_key=epoch_key, nonce=nonce, items=items) == raw
    assert open_envelope(realm_id=realm_id, epoch_key_by_key_id={epoch_key_id(epoch_key): epoch_key}, raw=raw) == items
