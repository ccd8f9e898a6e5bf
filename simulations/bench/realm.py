"""A realm of two devices with real keys and a real key epoch, the same in every process that knows its seed."""

from dataclasses import dataclass, field
from hashlib import blake2b

from crdt.identifiers import DeviceId
from node.store.authoring import Author
from sync.identifiers import RealmId
from sync.identity import DeviceKeys, make_certificate
from sync.key_epoch import mint_entropy_bytes, mint_epoch
from sync.realm import RECOVERY_SECRET_BYTES, create_realm
from sync.roster import evaluate
from sync.statements import Add, sign_statement

DEVICES = ("sender", "receiver")


class SeededEntropy:
    """Bytes that look random and are the same for the same seed (BLAKE2b in counter mode). For benchmarks only."""

    def __init__(self, seed: str) -> None:
        self._key = blake2b(seed.encode()).digest()
        self._count = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        pieces = bytearray()
        while len(pieces) < count:
            self._count += 1
            pieces += blake2b(self._count.to_bytes(8), key=self._key).digest()
        return bytes(pieces[:count])


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRealm:
    """Both devices' keys, in the order of DEVICES, and all statements of the roster."""

    realm_id: RealmId
    keys: tuple[DeviceKeys, ...] = field(repr=False)
    statements: tuple[bytes, ...] = field(repr=False)

    def author(self, device: int) -> Author:
        """Return who a device's store writes as."""
        keys = self.keys[device]
        return Author(device_id=DeviceId(keys.device_id), realm_id=self.realm_id, sign_seed=keys.sign_seed)


def found_realm(now_milliseconds: int) -> BenchRealm:
    """Return the realm founded at `now_milliseconds` (since 1970); equal instants give equal realms."""
    entropy = SeededEntropy(f"realm at {now_milliseconds}")
    owner_seed = entropy.take(32)
    first, second = (
        DeviceKeys(sign_seed=entropy.take(32), noise_secret=entropy.take(32), seal_secret=entropy.take(32))
        for _ in DEVICES
    )
    created = create_realm(
        keys=first,
        name=DEVICES[0],
        platform="bench",
        owner_seed=owner_seed,
        recovery_secret=entropy.take(RECOVERY_SECRET_BYTES),
        recovery_salt=entropy.take(16),
        epoch_entropy=entropy.take(mint_entropy_bytes(1)),
        now_milliseconds=now_milliseconds,
    )
    add = Add(
        owner_public=created.state.owner_public,
        certificate=make_certificate(second.public, name=DEVICES[1], platform="bench"),
        sponsor=first.device_id,
        added_at_milliseconds=now_milliseconds,
        heads=created.state.heads,
    )
    statements = [*created.statements, sign_statement(add, created.realm_id, owner_seed, second.sign_seed)]
    roster = evaluate(created.realm_id, statements)
    epoch_entropy = entropy.take(mint_entropy_bytes(len(roster.active)))
    statements.append(mint_epoch(roster, first, entropy=epoch_entropy, now_milliseconds=now_milliseconds))
    return BenchRealm(realm_id=created.realm_id, keys=(first, second), statements=tuple(statements))
