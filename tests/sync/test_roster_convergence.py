"""Rosters that grew apart in every way become one by union, and nobody ever sends under an epoch that leaks.

Random histories: three holders of statements that meet at random, an owner who adds, revokes and takes the realm back
at any of them, honest minting, and a device that mints epochs beforehand for everyone but itself before it is revoked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from sync.identifiers import StatementHash
from sync.key_epoch import EpochSecret, mint_entropy_bytes, mint_epoch, open_epochs, sending_epoch
from sync.roster import RosterState, evaluate
from sync.statements import statement_hash
from tests.support.realm_factory import NOW_MILLISECONDS, SeededEntropy, device_keys, found_realm
from tests.support.roster_scenarios import add, beat, epoch, frontiers, recovery_seed, revoke, rotate, seen

HISTORIES = 90
STEPS = 14
REALM = found_realm(devices=4)
HOLDERS = REALM.devices[:3]
ROOT_SEED = recovery_seed()

Choose = Callable[[RosterState, list[EpochSecret]], EpochSecret | None]


def newest_that_opens(state: RosterState, secrets: list[EpochSecret]) -> EpochSecret | None:
    """The planted defect: the rule of DESIGN 2.6 left out."""
    return max(secrets, key=lambda secret: (secret.n, secret.hash), default=None)


def leaks(state: RosterState, chosen: EpochSecret) -> bool:
    """Tell whether a device that is known to be revoked made or received this epoch, or an active one did not."""
    record = next(record for record in state.epochs if record.hash == chosen.hash)
    insiders = record.recipients | {record.body.author}
    return bool(insiders & state.revocation_by_device.keys()) or not state.active <= record.recipients


@dataclass(slots=True)
class Person:
    """Owner and root seed of each authority that the person ever founded, by its hash."""

    seeds: dict[StatementHash, tuple[bytes, bytes]]

    def take_back(self, state: RosterState, entropy: SeededEntropy) -> bytes:
        """Replace the owner key that is in force where the person stands; two may do so apart."""
        raw, owner_seed, root_seed = rotate(state, self.seeds[state.authority.hash][1], entropy, cut=state.heads)
        self.seeds[statement_hash(raw)] = (owner_seed, root_seed)
        return raw


def step(random: Random, held: list[set[bytes]], entropy: SeededEntropy, person: Person, choose: Choose) -> int:
    """Let one thing happen at one holder; return 1 if it then sends under an epoch that leaks."""
    index = random.randrange(len(held))
    state = evaluate(REALM.realm_id, held[index])
    me, thief = HOLDERS[index], REALM.devices[3]
    owner_seed = person.seeds[state.authority.hash][0]
    match random.randrange(14):
        case 0 | 1:
            held[index].add(add(state, device_keys(entropy), owner_seed))
        case 2 | 3:
            held[index].add(revoke(state, random.choice([thief, *HOLDERS[1:]]).device_id, owner_seed))
        case 4:
            held[index].add(person.take_back(state, entropy))
        case 5:
            held[index].add(beat(state, me, NOW_MILLISECONDS + random.randrange(1000)))
        case 6 if state.revocation_by_device:
            victim, revocation = random.choice(sorted(state.revocation_by_device.items()))
            parts = frontiers(victim, random.randrange(1, 9))
            held[index].add(seen(state, me, revocation.revokes[0], parts))
        case 7 | 8 if me.device_id in state.active:
            fresh = entropy.take(mint_entropy_bytes(len(state.active)))
            held[index].add(mint_epoch(state, me, entropy=fresh, now_milliseconds=NOW_MILLISECONDS))
        case 9 | 10 if len(state.active) > 1:
            held[index].add(epoch(state, thief, state.active - {thief.device_id}, entropy))
        case _:
            held[index] |= held[random.randrange(len(held))]
    state = evaluate(REALM.realm_id, held[index])
    chosen = choose(state, open_epochs(state, me.device_id, me.seal_secret))
    return int(me.device_id in state.active and chosen is not None and leaks(state, chosen))


def run(seed: int, choose: Choose) -> int:
    """Run one history to its end, check that all agree, and return how often somebody sent under a leaking epoch."""
    random, entropy = Random(seed), SeededEntropy(f"history {seed}")
    held = [set(REALM.statements) for _ in HOLDERS]
    person = Person({StatementHash(REALM.realm_id): (REALM.owner_seed, ROOT_SEED)})
    violations = sum(step(random, held, entropy, person, choose) for _ in range(STEPS))
    states: list[RosterState] = []
    for index in range(len(held)):
        order = [(index + offset) % len(held) for offset in range(len(held))]
        united = [raw for other in order for raw in sorted(held[other])]
        random.shuffle(united)
        states.append(evaluate(REALM.realm_id, united))
    assert states[0] == states[1] == states[2]
    for keys in HOLDERS:
        secrets = open_epochs(states[0], keys.device_id, keys.seal_secret)
        chosen = choose(states[0], secrets)
        violations += int(keys.device_id in states[0].active and chosen is not None and leaks(states[0], chosen))
    return violations


@pytest.mark.parametrize("part", range(3))
def test_rosters_converge_and_no_epoch_leaks(part: int) -> None:
    assert sum(run(seed, sending_epoch) for seed in range(part, HISTORIES, 3)) == 0


def test_the_same_histories_find_the_epoch_rule_missing() -> None:
    assert sum(run(seed, newest_that_opens) for seed in range(0, HISTORIES, 4)) > 10
