"""Checks the wrapper around the primitives: published vectors, exact lengths, one exception."""

from collections.abc import Callable
from functools import partial

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from nacl.bindings import crypto_box_seal, crypto_box_seal_open

from sync.crypto import (
    KeyPair,
    aead_decrypt,
    aead_encrypt,
    argon2id,
    chacha20poly1305_decrypt,
    chacha20poly1305_encrypt,
    derive_key,
    hash256,
    seal,
    sign,
    sign_keypair,
    signed_message,
    unseal,
    verify,
    x25519,
    x25519_keypair,
)
from sync.errors import LocalProtocolError, Rejected

KEY = bytes(range(32))
NONCE24 = bytes(range(24))
NONCE12 = bytes(range(12))
REALM = b"r" * 32

# Points of order 1, 2, 4 and 8 and the non-canonical encodings of 0 and 1 (https://cr.yp.to/ecdh.html).
LOW_ORDER_POINTS = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]

Call = Callable[..., object]
# Each: a function of one argument, everything else valid; and a valid value of that argument.
EXACT_LENGTH_ARGUMENTS: dict[str, tuple[Call, bytes]] = {
    "sign_keypair seed": (sign_keypair, KEY),
    "sign seed": (lambda value: sign(value, b"m"), KEY),
    "verify public": (lambda value: verify(value, sign(KEY, b"m"), b"m"), sign_keypair(KEY).public),
    "verify signature": (lambda value: verify(sign_keypair(KEY).public, value, b"m"), sign(KEY, b"m")),
    "signed_message realm": (lambda value: signed_message("batch", value, b""), REALM),
    "x25519_keypair secret": (x25519_keypair, KEY),
    "x25519 secret": (lambda value: x25519(value, x25519_keypair(KEY).public), KEY),
    "x25519 public": (partial(x25519, KEY), x25519_keypair(KEY).public),
    "derive_key key": (lambda value: derive_key(value, "key-id"), KEY),
    "aead_encrypt key": (lambda value: aead_encrypt(value, NONCE24, b"m", b""), KEY),
    "aead_encrypt nonce": (lambda value: aead_encrypt(KEY, value, b"m", b""), NONCE24),
    "aead_decrypt key": (lambda value: aead_decrypt(value, NONCE24, aead_encrypt(KEY, NONCE24, b"m", b""), b""), KEY),
    "aead_decrypt nonce": (
        lambda value: aead_decrypt(KEY, value, aead_encrypt(KEY, NONCE24, b"m", b""), b""),
        NONCE24,
    ),
    "chacha encrypt key": (lambda value: chacha20poly1305_encrypt(value, NONCE12, b"m", b""), KEY),
    "chacha encrypt nonce": (lambda value: chacha20poly1305_encrypt(KEY, value, b"m", b""), NONCE12),
    "chacha decrypt key": (
        lambda value: chacha20poly1305_decrypt(value, NONCE12, chacha20poly1305_encrypt(KEY, NONCE12, b"m", b""), b""),
        KEY,
    ),
    "chacha decrypt nonce": (
        lambda value: chacha20poly1305_decrypt(KEY, value, chacha20poly1305_encrypt(KEY, NONCE12, b"m", b""), b""),
        NONCE12,
    ),
    "seal recipient": (lambda value: seal(value, KEY, b"m"), x25519_keypair(KEY).public),
    "seal ephemeral": (lambda value: seal(x25519_keypair(KEY).public, value, b"m"), KEY),
    "unseal recipient": (lambda value: unseal(value, seal(x25519_keypair(KEY).public, b"e" * 32, b"m")), KEY),
    "argon2id salt": (lambda value: argon2id(b"p", value, 1, 8192), b"s" * 16),
}
FREE_LENGTH_ARGUMENTS: dict[str, Call] = {
    "sign message": partial(sign, KEY),
    "verify message": partial(verify, sign_keypair(KEY).public, sign(KEY, b"m")),
    "signed_message body": partial(signed_message, "batch", REALM),
    "hash256 data": partial(hash256, person=b"test"),
    "hash256 key": lambda value: hash256(b"", person=b"test", key=value),
    "hash256 salt": lambda value: hash256(b"", person=b"test", salt=value),
    "derive_key context": partial(derive_key, KEY, "key-id"),
    "aead_encrypt plaintext": lambda value: aead_encrypt(KEY, NONCE24, value, b""),
    "aead_encrypt associated data": lambda value: aead_encrypt(KEY, NONCE24, b"", value),
    "aead_decrypt ciphertext": lambda value: aead_decrypt(KEY, NONCE24, value, b""),
    "aead_decrypt associated data": lambda value: aead_decrypt(KEY, NONCE24, bytes(16), value),
    "seal plaintext": lambda value: seal(x25519_keypair(KEY).public, KEY, value),
    "unseal sealed": partial(unseal, KEY),
    "argon2id passphrase": lambda value: argon2id(value, b"s" * 16, 1, 8192),
}


@pytest.mark.parametrize("name", EXACT_LENGTH_ARGUMENTS)
def test_an_argument_of_any_length_but_the_right_one_is_rejected(name: str) -> None:
    call, valid = EXACT_LENGTH_ARGUMENTS[name]
    call(valid)
    for wrong in (valid[:-1], valid + b"\0", b"", valid[:16][:-1], None, valid.decode("latin-1"), bytearray(valid), 32):
        with pytest.raises(Rejected):
            call(wrong)


@pytest.mark.parametrize("name", FREE_LENGTH_ARGUMENTS)
def test_an_argument_that_is_not_bytes_is_rejected(name: str) -> None:
    for wrong in (None, "text", 7, bytearray(b"m"), memoryview(b"m")):
        with pytest.raises(Rejected):
            FREE_LENGTH_ARGUMENTS[name](wrong)


@pytest.mark.parametrize("length", range(16))
def test_a_ciphertext_shorter_than_its_tag_is_rejected(length: int) -> None:
    with pytest.raises(Rejected):
        aead_decrypt(KEY, NONCE24, bytes(length), b"")
    with pytest.raises(Rejected):
        chacha20poly1305_decrypt(KEY, NONCE12, bytes(length), b"")


@pytest.mark.parametrize("length", range(49))
def test_a_sealed_box_shorter_than_its_overhead_is_rejected(length: int) -> None:
    with pytest.raises(Rejected):
        unseal(KEY, bytes(length))


@pytest.mark.parametrize("point", LOW_ORDER_POINTS, ids=bytes.hex)
def test_a_low_order_point_gives_no_shared_secret_and_no_box(point: bytes) -> None:
    with pytest.raises(Rejected):
        x25519(KEY, point)
    with pytest.raises(Rejected):
        seal(point, KEY, b"m")
    with pytest.raises(Rejected):
        unseal(KEY, point + bytes(32))


def test_x25519_agrees_with_the_iterated_vector_of_rfc_7748_section_5_2() -> None:
    scalar = point = b"\x09" + bytes(31)
    scalar, point = x25519(scalar, point), scalar
    assert scalar.hex() == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    for _ in range(999):
        scalar, point = x25519(scalar, point), scalar
    assert scalar.hex() == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


def test_ed25519_agrees_with_rfc_8032_section_7_1_test_2() -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    assert sign_keypair(seed).public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert sign(seed, b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_chacha20poly1305_agrees_with_rfc_8439_section_2_8_2() -> None:
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex("070000004041424344454647")
    associated_data = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    ciphertext = chacha20poly1305_encrypt(key, nonce, plaintext, associated_data)
    assert ciphertext[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert ciphertext[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    assert chacha20poly1305_decrypt(key, nonce, ciphertext, associated_data) == plaintext


def test_xchacha20poly1305_agrees_with_draft_irtf_cfrg_xchacha_appendix_a_3_1() -> None:
    key = bytes(range(0x80, 0xA0))
    nonce = bytes(range(0x40, 0x58))
    associated_data = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    ciphertext = aead_encrypt(key, nonce, plaintext, associated_data)
    assert ciphertext[:16].hex() == "bd6d179d3e83d43b9576579493c0e939"
    assert ciphertext[-16:].hex() == "c0875924c1c7987947deafd8780acf49"
    assert aead_decrypt(key, nonce, ciphertext, associated_data) == plaintext


def test_every_flipped_bit_of_a_ciphertext_or_its_associated_data_is_rejected() -> None:
    ciphertext, associated_data = aead_encrypt(KEY, NONCE24, b"memory", b"header"), b"header"
    for position in range(8 * len(ciphertext)):
        with pytest.raises(Rejected):
            aead_decrypt(KEY, NONCE24, _flip(ciphertext, position), associated_data)
    for position in range(8 * len(associated_data)):
        with pytest.raises(Rejected):
            aead_decrypt(KEY, NONCE24, ciphertext, _flip(associated_data, position))


def test_every_flipped_bit_of_a_signature_is_rejected() -> None:
    signature, public = sign(KEY, b"memory"), sign_keypair(KEY).public
    verify(public, signature, b"memory")
    for position in range(8 * len(signature)):
        with pytest.raises(Rejected):
            verify(public, _flip(signature, position), b"memory")
    with pytest.raises(Rejected):
        verify(public, signature, b"memorz")


def test_a_signature_made_malleable_by_adding_the_group_order_is_rejected() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    signature, public = sign(KEY, b"memory"), sign_keypair(KEY).public
    scalar = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(Rejected):
        verify(public, signature[:32] + scalar.to_bytes(32, "little"), b"memory")


def test_a_small_order_signing_key_verifies_nothing() -> None:
    neutral = b"\x01" + bytes(31)
    with pytest.raises(Rejected):
        verify(neutral, neutral + bytes(32), b"any message at all")


def test_a_signature_of_one_kind_or_realm_is_not_one_of_another() -> None:
    public = sign_keypair(KEY).public
    signature = sign(KEY, signed_message("add", REALM, b"body"))
    verify(public, signature, signed_message("add", REALM, b"body"))
    for label, realm in (("revoke", REALM), ("add", b"q" * 32)):
        with pytest.raises(Rejected):
            verify(public, signature, signed_message(label, realm, b"body"))


def test_what_a_signature_covers_has_exactly_the_specified_bytes() -> None:
    assert signed_message("beat", REALM, b"body") == b"\0\0\0\x10nuthatch/beat/v1" + REALM + b"body"


@pytest.mark.parametrize("label", ["", "a/b", "é"])
def test_a_label_that_could_be_mistaken_for_another_is_our_own_error(label: str) -> None:
    with pytest.raises(LocalProtocolError):
        signed_message(label, REALM, b"")


@pytest.mark.parametrize("label", ["", "seventeen letters", "é"])
def test_a_key_is_derived_only_for_a_named_purpose(label: str) -> None:
    with pytest.raises(LocalProtocolError):
        derive_key(KEY, label)


def test_a_hash_needs_a_named_purpose() -> None:
    for person in (b"", b"p" * 17):
        with pytest.raises(LocalProtocolError):
            hash256(b"data", person=person)


def test_keys_derived_for_different_purposes_contexts_or_keys_differ() -> None:
    derived = {
        derive_key(KEY, "key-id"),
        derive_key(KEY, "batch-key"),
        derive_key(KEY, "key-id", b"a"),
        derive_key(KEY, "key-id", b"ab"),
        derive_key(bytes(32), "key-id"),
    }
    assert len(derived) == 5


def test_a_derived_key_and_a_hash_are_these_bytes_for_ever() -> None:
    assert derive_key(KEY, "key-id").hex() == "29398e5b91f79f1f5a60ec22b1c9ff5741427966a90a7973b522f796c587d240"
    assert (
        hash256(b"data", person=b"nuthatch-dev").hex()
        == "b86d3e57cc12dcbe23187bfa355aa40c65d3bf3a45b7c974061d2feca0eb24b4"
    )


def test_libsodium_opens_a_box_sealed_with_a_given_ephemeral_key() -> None:
    recipient = x25519_keypair(KEY)
    for length in (0, 1, 1000):
        plaintext = bytes(length)
        sealed = seal(recipient.public, b"e" * 32, plaintext)
        assert len(sealed) == length + 48
        assert crypto_box_seal_open(sealed, recipient.public, recipient.secret) == plaintext


def test_a_box_sealed_by_libsodium_is_opened() -> None:
    recipient = x25519_keypair(KEY)
    assert unseal(recipient.secret, crypto_box_seal(b"memory", recipient.public)) == b"memory"


def test_a_sealed_box_opens_for_its_recipient_alone_and_only_unchanged() -> None:
    sealed = seal(x25519_keypair(KEY).public, b"e" * 32, b"memory")
    with pytest.raises(Rejected):
        unseal(b"x" * 32, sealed)
    for position in range(8 * len(sealed)):
        # X25519 ignores the ephemeral key's top bit, but the nonce is a hash of all its bytes.
        with pytest.raises(Rejected):
            unseal(KEY, _flip(sealed, position))


def test_argon2id_agrees_with_the_implementation_of_openssl() -> None:
    expected = Argon2id(salt=b"s" * 16, length=32, iterations=2, lanes=1, memory_cost=64).derive(b"correct horse")
    assert argon2id(b"correct horse", b"s" * 16, 2, 64 * 1024) == expected


@pytest.mark.parametrize(
    ("operations", "memory_bytes"),
    [(0, 8192), (17, 8192), (-1, 8192), (1, 8191), (1, 2**40), (1, -1), (True, 8192), (1.0, 8192), (1, None)],
)
def test_argon2id_parameters_outside_the_bounds_are_rejected_before_memory_is_spent(
    operations: int, memory_bytes: int
) -> None:
    with pytest.raises(Rejected):
        argon2id(b"p", b"s" * 16, operations, memory_bytes)


def test_an_overlong_passphrase_is_rejected() -> None:
    with pytest.raises(Rejected):
        argon2id(b"p" * 1025, b"s" * 16, 1, 8192)


def test_a_rejection_says_nothing_and_a_key_pair_shows_no_secret() -> None:
    with pytest.raises(Rejected) as caught:
        aead_decrypt(KEY, NONCE24, bytes(40), b"")
    assert str(caught.value) == "A cryptographic check failed; the data was refused."
    assert caught.value.__suppress_context__
    secret = b"the secret of this key pair here"
    assert "the secret" not in repr(KeyPair(public=bytes(32), secret=secret))


def _flip(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)
