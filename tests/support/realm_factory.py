"""Founds realms with several devices from a seed: real keys, real signatures, real key epochs, no pairing."""

from dataclasses import dataclass
from hashlib import blake2b

from sync.identifiers import RealmId
from sync.identity import DeviceKeys, make_certificate
from sync.key_epoch import mint_entropy_bytes, mint_epoch
from sync.membership import Membership, open_membership
from sync.realm import create_realm
from sync.roster import RosterState, evaluate
from sync.statements import Add, Revoke, RevokeReason, sign_statement

NOW_MILLISECONDS = 1_795_000_000_000


class SeededEntropy:
    """Bytes that look random and are the same for the same seed (BLAKE2b in counter mode)."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._count = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        pieces = bytearray()
        while len(pieces) < count:
            self._count += 1
            pieces += blake2b(self._count.to_bytes(8, "big"), key=self._seed[:64]).digest()
        return bytes(pieces[:count])


def device_keys(entropy: SeededEntropy) -> DeviceKeys:
    """Return fresh device keys."""
    return DeviceKeys(sign_seed=entropy.take(32), noise_secret=entropy.take(32), seal_secret=entropy.take(32))


@dataclass(slots=True)
class FoundedRealm:
    """A realm, the owner's key and every device's: everything a test may want to act as."""

    realm_id: RealmId
    owner_seed: bytes
    devices: list[DeviceKeys]
    statements: list[bytes]
    entropy: SeededEntropy
    now_milliseconds: int = NOW_MILLISECONDS

    def state(self) -> RosterState:
        """Return the roster that all statements spell."""
        return evaluate(self.realm_id, self.statements)

    def membership(self, device: int, statements: list[bytes] | None = None) -> Membership:
        """Return what `statements` (all, unless given) mean to a device."""
        keys = self.devices[device]
        return open_membership(
            realm_id=self.realm_id,
            device_id=keys.device_id,
            seal_secret=keys.seal_secret,
            statements=self.statements if statements is None else statements,
        )

    def add_device(self) -> DeviceKeys:
        """Admit one more device, without minting its key epoch."""
        keys = device_keys(self.entropy)
        state = self.state()
        add = Add(
            owner_public=state.owner_public,
            certificate=make_certificate(keys.public, name=f"device {len(self.devices)}", platform="linux"),
            sponsor=self.devices[0].device_id,
            added_at_milliseconds=self.now_milliseconds,
            heads=state.heads,
        )
        self.statements.append(sign_statement(add, self.realm_id, self.owner_seed, keys.sign_seed))
        self.devices.append(keys)
        return keys

    def revoke(self, device: int) -> None:
        """Sign a Revoke of a device that leaves nothing of it standing."""
        state = self.state()
        revoke = Revoke(
            signer=state.owner_public,
            device_id=self.devices[device].device_id,
            reason=RevokeReason.LOST,
            cut=(),
            heads=state.heads,
        )
        self.statements.append(sign_statement(revoke, self.realm_id, self.owner_seed))

    def mint(self, device: int) -> None:
        """Let a device mint the next key epoch."""
        state = self.state()
        entropy = self.entropy.take(mint_entropy_bytes(len(state.active)))
        self.statements.append(
            mint_epoch(state, self.devices[device], entropy=entropy, now_milliseconds=self.now_milliseconds)
        )


def found_realm(*, devices: int, seed: str = "realm", now_milliseconds: int = NOW_MILLISECONDS) -> FoundedRealm:
    """Return a realm of so many devices, all under one key epoch; their ids are in no particular order."""
    entropy = SeededEntropy(seed)
    owner_seed, first = entropy.take(32), device_keys(entropy)
    created = create_realm(
        keys=first,
        name="device 0",
        platform="linux",
        owner_seed=owner_seed,
        recovery_secret=entropy.take(20),
        recovery_salt=entropy.take(16),
        epoch_entropy=entropy.take(mint_entropy_bytes(1)),
        now_milliseconds=now_milliseconds,
    )
    realm = FoundedRealm(
        realm_id=created.realm_id,
        owner_seed=owner_seed,
        devices=[first],
        statements=list(created.statements),
        entropy=entropy,
        now_milliseconds=now_milliseconds,
    )
    for _ in range(devices - 1):
        realm.add_device()
    if devices > 1:
        realm.mint(0)
    return realm
