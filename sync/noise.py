"""Runs one Noise handshake, XXpsk0, and the encrypted transport that follows it.

Implements Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b of the Noise Protocol Framework, revision 34
(https://noiseprotocol.org/noise.html); section numbers in comments are that document's. One pattern and one suite:
nothing is negotiated, so nothing can be downgraded. Keys, the ephemeral one too, are arguments.
"""

from hashlib import blake2b
from hmac import digest as hmac_digest
from typing import Final, Literal

from sync.crypto import (
    KEY_BYTES,
    TAG_BYTES,
    chacha20poly1305_decrypt,
    chacha20poly1305_encrypt,
    require_length,
    x25519,
    x25519_keypair,
)
from sync.errors import LocalProtocolError, Rejected
from sync.limits import NOISE_MESSAGE_BYTES_MAX, NOISE_PLAINTEXT_BYTES_MAX, NOISE_REKEY_MESSAGES

PROTOCOL_NAME: Final = b"Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b"
HANDSHAKE_HASH_BYTES: Final = 64
_NONCE_PREFIX: Final = bytes(4)
_REKEY_NONCE: Final = _NONCE_PREFIX + b"\xff" * 8

_Token = Literal["psk", "e", "s", "ee", "es", "se"]
# Section 7.5 with the modifier of 9.4: the initiator writes the first message, the sides take turns.
_PATTERN: Final[tuple[tuple[_Token, ...], ...]] = (
    ("psk", "e"),
    ("e", "ee", "s", "es"),
    ("s", "se"),
)


def _hash(data: bytes) -> bytes:
    return blake2b(data).digest()


def _derive(chaining_key: bytes, input_key: bytes, count: int) -> list[bytes]:
    """HKDF of section 4.3: ``count`` outputs of 64 bytes."""
    temporary_key = hmac_digest(chaining_key, input_key, blake2b)
    outputs: list[bytes] = []
    previous = b""
    for number in range(1, count + 1):
        previous = hmac_digest(temporary_key, previous + bytes([number]), blake2b)
        outputs.append(previous)
    return outputs


class _CipherState:
    """Section 5.1. The 64-bit counter cannot run out: the key changes after far fewer messages."""

    __slots__ = ("_key", "_nonce")

    def __init__(self, key: bytes = b"") -> None:
        # The empty key is the specification's state before the first MixKey. XXpsk0 encrypts nothing in it, and the
        # cipher refuses a key of no bytes.
        self._key = key
        self._nonce = 0

    def encrypt(self, associated_data: bytes, plaintext: bytes) -> bytes:
        nonce = _NONCE_PREFIX + self._nonce.to_bytes(8, "little")
        self._nonce += 1
        return chacha20poly1305_encrypt(self._key, nonce, plaintext, associated_data)

    def decrypt(self, associated_data: bytes, ciphertext: bytes) -> bytes:
        nonce = _NONCE_PREFIX + self._nonce.to_bytes(8, "little")
        plaintext = chacha20poly1305_decrypt(self._key, nonce, ciphertext, associated_data)
        self._nonce += 1
        return plaintext

    def rekey_when_due(self) -> None:
        """Section 11.3: both ends count the messages of a direction, so they change its key at the same one."""
        if self._nonce % NOISE_REKEY_MESSAGES == 0:
            self._key = chacha20poly1305_encrypt(self._key, _REKEY_NONCE, bytes(KEY_BYTES), b"")[:KEY_BYTES]


class _SymmetricState:
    """Section 5.2: the chaining key, the transcript hash, and the cipher they feed."""

    __slots__ = ("_chaining_key", "_cipher", "handshake_hash")

    def __init__(self) -> None:
        self.handshake_hash = PROTOCOL_NAME.ljust(HANDSHAKE_HASH_BYTES, b"\0")
        self._chaining_key = self.handshake_hash
        self._cipher = _CipherState()

    def mix_hash(self, data: bytes) -> None:
        self.handshake_hash = _hash(self.handshake_hash + data)

    def mix_key(self, input_key: bytes) -> None:
        self._chaining_key, key = _derive(self._chaining_key, input_key, 2)
        self._cipher = _CipherState(key[:KEY_BYTES])

    def mix_key_and_hash(self, input_key: bytes) -> None:
        self._chaining_key, hashed, key = _derive(self._chaining_key, input_key, 3)
        self.mix_hash(hashed)
        self._cipher = _CipherState(key[:KEY_BYTES])

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt(self.handshake_hash, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.decrypt(self.handshake_hash, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[_CipherState, _CipherState]:
        from_initiator, from_responder = _derive(self._chaining_key, b"", 2)
        return _CipherState(from_initiator[:KEY_BYTES]), _CipherState(from_responder[:KEY_BYTES])


class NoiseTransport:
    """Encrypts and decrypts the messages of one established channel, each exactly once and in order.

    Bytes that do not decrypt break the receiving direction for good: on an ordered transport they cannot be an
    accident, so every later ``decrypt`` raises Rejected too.
    """

    __slots__ = ("_broken", "_receiving", "_sending")

    def __init__(self, sending: _CipherState, receiving: _CipherState) -> None:
        self._sending = sending
        self._receiving = receiving
        self._broken = False

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return one message, 16 bytes longer. Raises LocalProtocolError over 65,519 bytes."""
        if len(plaintext) > NOISE_PLAINTEXT_BYTES_MAX:
            raise LocalProtocolError(f"A Noise message holds at most {NOISE_PLAINTEXT_BYTES_MAX} bytes.")
        message = self._sending.encrypt(b"", plaintext)
        self._sending.rekey_when_due()
        return message

    def decrypt(self, message: bytes) -> bytes:
        """Return the plaintext of the peer's next message, or raise Rejected."""
        if self._broken or len(message) > NOISE_MESSAGE_BYTES_MAX:
            raise Rejected
        self._broken = True
        plaintext = self._receiving.decrypt(b"", message)
        self._receiving.rekey_when_due()
        self._broken = False
        return plaintext


class NoiseHandshake:
    """One side of a handshake: call ``write_message`` and ``read_message`` in turn until ``done``, then ``split``.

    Three messages, the initiator's first. The payload of the first is protected by the pre-shared key alone and can be
    replayed; the second's is encrypted to whoever holds that key; only the third's is to an authenticated peer. The
    statics are known when a message that carries them was read; whether the key belongs to a member is the caller's
    question.
    """

    def __init__(
        self, *, initiator: bool, static_secret: bytes, ephemeral_secret: bytes, psk: bytes, prologue: bytes
    ) -> None:
        """``static_secret``, ``ephemeral_secret`` (fresh for this handshake) and ``psk`` are 32 bytes each.

        ``prologue`` is what both sides believe about protocol and version; if they differ, message 1 is Rejected.
        Raises Rejected for keys of another length.
        """
        self._initiator = initiator
        self._static = x25519_keypair(static_secret)
        self._ephemeral = x25519_keypair(ephemeral_secret)
        require_length(psk, KEY_BYTES)
        self._psk = psk
        self._remote_ephemeral = b""
        self._remote_static: bytes | None = None
        self._messages = 0
        self._broken = False
        self._split = False
        self._symmetric = _SymmetricState()
        self._symmetric.mix_hash(prologue)

    @property
    def done(self) -> bool:
        """Whether all three messages were exchanged."""
        return self._messages == len(_PATTERN) and not self._broken

    @property
    def remote_static(self) -> bytes | None:
        """The peer's static public key (32 bytes), once a message proved that it was sent by a holder of the psk."""
        return self._remote_static

    @property
    def handshake_hash(self) -> bytes:
        """The 64 bytes that name this channel: equal on both sides, and on no other channel."""
        if not self.done:
            raise LocalProtocolError("The handshake hash is final only when the handshake is done.")
        return self._symmetric.handshake_hash

    def write_message(self, payload: bytes = b"") -> bytes:
        """Return this side's next message. Raises LocalProtocolError out of turn or if it exceeds 65,535 bytes."""
        tokens = self._next_tokens(writing=True)
        parts: list[bytes] = []
        for token in tokens:
            match token:
                case "e":
                    parts.append(self._ephemeral.public)
                    self._mix_ephemeral(self._ephemeral.public)
                case "s":
                    parts.append(self._symmetric.encrypt_and_hash(self._static.public))
                case _:
                    self._mix_secret(token)
        parts.append(self._symmetric.encrypt_and_hash(payload))
        message = b"".join(parts)
        if len(message) > NOISE_MESSAGE_BYTES_MAX:
            self._broken = True
            raise LocalProtocolError(f"A Noise message holds at most {NOISE_MESSAGE_BYTES_MAX} bytes.")
        self._messages += 1
        return message

    def read_message(self, message: bytes) -> bytes:
        """Return the payload of the peer's next message.

        Raises Rejected if it is not one, after which this handshake is dead; LocalProtocolError out of turn.
        """
        if self._broken:
            raise Rejected
        tokens = self._next_tokens(writing=False)
        self._broken = True
        if len(message) > NOISE_MESSAGE_BYTES_MAX:
            raise Rejected
        offset = 0
        for token in tokens:
            match token:
                case "e":
                    self._remote_ephemeral = message[offset : offset + KEY_BYTES]
                    offset += KEY_BYTES
                    require_length(self._remote_ephemeral, KEY_BYTES)
                    self._mix_ephemeral(self._remote_ephemeral)
                case "s":
                    # A shorter rest decrypts to a shorter key or not at all; either way it is no key.
                    self._remote_static = self._symmetric.decrypt_and_hash(
                        message[offset : offset + KEY_BYTES + TAG_BYTES]
                    )
                    offset += KEY_BYTES + TAG_BYTES
                    require_length(self._remote_static, KEY_BYTES)
                case _:
                    self._mix_secret(token)
        payload = self._symmetric.decrypt_and_hash(message[offset:])
        self._broken = False
        self._messages += 1
        return payload

    def split(self) -> NoiseTransport:
        """Return the transport, once: two of them would use the same nonces."""
        if not self.done or self._split:
            raise LocalProtocolError("A handshake is split once, when it is done.")
        self._split = True
        from_initiator, from_responder = self._symmetric.split()
        if self._initiator:
            return NoiseTransport(sending=from_initiator, receiving=from_responder)
        return NoiseTransport(sending=from_responder, receiving=from_initiator)

    def _next_tokens(self, *, writing: bool) -> tuple[_Token, ...]:
        my_turn_to_write = (self._messages % 2 == 0) == self._initiator
        if self._broken or self._messages == len(_PATTERN) or my_turn_to_write != writing:
            raise LocalProtocolError("The handshake does not expect this step now.")
        return _PATTERN[self._messages]

    def _mix_ephemeral(self, public: bytes) -> None:
        self._symmetric.mix_hash(public)
        # Section 9.2: in a handshake with a pre-shared key the ephemeral is mixed into the key as well.
        self._symmetric.mix_key(public)

    def _mix_secret(self, token: _Token) -> None:
        """Mix the pre-shared key, or the shared secret of the two keys that ``token`` names, initiator's first."""
        match token:
            case "psk":
                self._symmetric.mix_key_and_hash(self._psk)
                return
            case _:
                mine, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        secret = (self._ephemeral if mine == "e" else self._static).secret
        remote = self._remote_ephemeral if theirs == "e" else self._remote_static
        if remote is None:
            raise LocalProtocolError("The pattern uses the peer's static key before it was sent.")
        self._symmetric.mix_key(x25519(secret, remote))
