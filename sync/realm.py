"""Founding a realm: its Genesis, its first device, its first key epoch, and the code that can recover it.

The recovery code is the realm's last resort. It is shown once and kept nowhere; the root keys that it makes sign the
Genesis and, should owner key or devices be lost, an OwnerRotate. PROTOCOL.md, section 4.
"""

from dataclasses import dataclass, field

from sync.crockford import read_spelled, spell
from sync.crypto import argon2id, derive_key, sign_keypair, x25519_keypair
from sync.errors import LocalProtocolError
from sync.identifiers import RealmId
from sync.identity import Certificate, DeviceKeys, make_certificate
from sync.key_epoch import mint_epoch
from sync.limits import MEBIBYTE
from sync.roster import RosterState, evaluate
from sync.statements import Add, Genesis, decode_statement, encode_body, realm_id_of, sign_statement

RECOVERY_SECRET_BYTES = 20
# The code's 160 random bits are beyond guessing already; the cost only slows who has read a part of it.
_RECOVERY_OPERATIONS = 3
_RECOVERY_MEMORY_BYTES = 64 * MEBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeys:
    """What a recovery code makes: a signature seed and an X25519 secret. Never kept on a device."""

    sign_seed: bytes = field(repr=False)
    seal_secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedRealm:
    """A realm with one device. `statements` are all that its roster holds; the code is to be shown and forgotten."""

    realm_id: RealmId
    certificate: Certificate
    genesis_raw: bytes = field(repr=False)
    add_raw: bytes = field(repr=False)
    epoch_raw: bytes = field(repr=False)
    state: RosterState = field(repr=False)
    recovery_code: str = field(repr=False)

    @property
    def statements(self) -> tuple[bytes, ...]:
        """Genesis, Add and Epoch."""
        return (self.genesis_raw, self.add_raw, self.epoch_raw)


def create_realm(
    *,
    keys: DeviceKeys,
    name: str,
    platform: str,
    owner_seed: bytes,
    recovery_secret: bytes,
    recovery_salt: bytes,
    epoch_entropy: bytes,
    now_milliseconds: int,
) -> CreatedRealm:
    """Found a realm whose first device holds `keys`.

    Random are `owner_seed` (32 bytes, to be kept wrapped by the owner's passphrase), `recovery_secret` (20),
    `recovery_salt` (16) and `epoch_entropy` (`mint_entropy_bytes(1)`); `now_milliseconds` is since 1970.
    Raises UnusableName for name or platform. Takes a tenth of a second and 64 MiB for Argon2id.
    """
    recovery_code = spell_recovery_code(recovery_secret)
    root = root_keys(recovery_code, recovery_salt)
    certificate = make_certificate(keys.public, name=name, platform=platform)
    genesis = Genesis(
        root_public=sign_keypair(root.sign_seed).public,
        root_seal_public=x25519_keypair(root.seal_secret).public,
        owner_public=sign_keypair(owner_seed).public,
        recovery_salt=recovery_salt,
    )
    realm_id = realm_id_of(encode_body(genesis))
    genesis_raw = sign_statement(genesis, realm_id, root.sign_seed)
    add = Add(
        owner_public=genesis.owner_public,
        certificate=certificate,
        sponsor=certificate.device_id,
        added_at_milliseconds=now_milliseconds,
        heads=(decode_statement(genesis_raw).hash,),
    )
    add_raw = sign_statement(add, realm_id, owner_seed, keys.sign_seed)
    epoch_raw = mint_epoch(
        evaluate(realm_id, (genesis_raw, add_raw)), keys, entropy=epoch_entropy, now_milliseconds=now_milliseconds
    )
    return CreatedRealm(
        realm_id=realm_id,
        certificate=certificate,
        genesis_raw=genesis_raw,
        add_raw=add_raw,
        epoch_raw=epoch_raw,
        state=evaluate(realm_id, (genesis_raw, add_raw, epoch_raw)),
        recovery_code=recovery_code,
    )


def spell_recovery_code(recovery_secret: bytes) -> str:
    """Return the code of 20 random bytes: 8 groups of 4 characters and a check character."""
    if len(recovery_secret) != RECOVERY_SECRET_BYTES:
        raise LocalProtocolError(f"A recovery code is made of {RECOVERY_SECRET_BYTES} random bytes.")
    return spell(recovery_secret)


def root_keys(recovery_code: str, recovery_salt: bytes) -> RootKeys:
    """Return the root keys of the realm whose latest Genesis or OwnerRotate carries `recovery_salt` (16 bytes).

    Raises sync.crockford.MalformedCode if the code is mistyped. A well-formed code of another realm gives other keys.
    """
    secret = read_spelled(recovery_code, secret_bytes=RECOVERY_SECRET_BYTES)
    root = argon2id(secret, recovery_salt, _RECOVERY_OPERATIONS, _RECOVERY_MEMORY_BYTES)
    return RootKeys(sign_seed=derive_key(root, "root-sign"), seal_secret=derive_key(root, "root-seal"))
