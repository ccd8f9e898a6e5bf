"""A realm of simulated devices, founded and filled by real, signed statements with seeded keys."""

from dataclasses import dataclass

from simulations.kernel.streams import SeededStream
from sync.crypto import sign_keypair, x25519_keypair
from sync.identifiers import RealmId
from sync.identity import DeviceKeys, make_certificate
from sync.roster import RosterState, evaluate
from sync.statements import Add, Genesis, decode_statement, encode_body, realm_id_of, sign_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRealm:
    """A realm id, the devices' keys in order, and the roster that every device holds."""

    realm_id: RealmId
    keys: tuple[DeviceKeys, ...]
    roster: RosterState


def found_realm(seed: int, devices: int, now_milliseconds: int) -> SimulatedRealm:
    """Return a realm with `devices` members, the same for the same seed."""
    random = SeededStream(seed, "realm")
    root_seed, owner_seed = random.take(32), random.take(32)
    genesis = Genesis(
        root_public=sign_keypair(root_seed).public,
        root_seal_public=x25519_keypair(random.take(32)).public,
        owner_public=sign_keypair(owner_seed).public,
        recovery_salt=random.take(16),
    )
    realm_id = realm_id_of(encode_body(genesis))
    statements = [sign_statement(genesis, realm_id, root_seed)]
    keys = tuple(
        DeviceKeys(sign_seed=random.take(32), noise_secret=random.take(32), seal_secret=random.take(32))
        for _ in range(devices)
    )
    for index, device in enumerate(keys):
        add = Add(
            owner_public=genesis.owner_public,
            certificate=make_certificate(device.public, name=f"device {index}", platform="simulation"),
            sponsor=keys[0].device_id,
            added_at_milliseconds=now_milliseconds,
            heads=(decode_statement(statements[-1]).hash,),
        )
        statements.append(sign_statement(add, realm_id, owner_seed, device.sign_seed))
    roster = evaluate(realm_id, statements)
    return SimulatedRealm(realm_id=realm_id, keys=keys, roster=roster)
