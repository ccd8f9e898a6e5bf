"""Who belongs to a realm: the state that a set of signed statements spells, the same whatever order they came in.

The state is a pure function of the set (a 2P-set signed by the owner), so two rosters merge by uniting their
statements, and administrators cannot duel. A device is active if an Add in force admits it and no Revoke in force
names it; a revoked id never returns. `sync.roster_evidence` has already thrown out what is not signed as it must be.
PROTOCOL.md, section 4.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from crdt.identifiers import DeviceId, Origin, origin_device
from sync.crypto import hash256
from sync.frontier import EMPTY_FRONTIER, Frontier
from sync.identifiers import RealmId, StatementHash
from sync.identity import Certificate
from sync.limits import CLOCK_AHEAD_MILLISECONDS_MAX
from sync.roster_evidence import Authority, Evidence, gather
from sync.statements import (
    HEADS_MAX,
    Add,
    Beat,
    Epoch,
    Genesis,
    OwnerRotate,
    Revoke,
    RevokeReason,
    Seen,
    Statement,
    join_frontiers,
    read_frontiers,
)
from sync.streams import Stream

#: How long a device may have heard of no other and still send.
FRESH_MILLISECONDS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A device that was removed for ever, and the batches of it that count all the same."""

    device_id: DeviceId
    reason: RevokeReason
    revokes: tuple[StatementHash, ...]
    accepted: Mapping[Stream, Frontier]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """A key epoch as minted. `informed`: its author knew every Add, Revoke and OwnerRotate that is in force here."""

    hash: StatementHash
    body: Epoch = field(repr=False)
    informed: bool

    @property
    def order(self) -> tuple[int, bytes]:
        """Where several epochs could be sent under, the greatest is."""
        return (self.body.number, self.hash)

    @property
    def recipients(self) -> frozenset[DeviceId]:
        """The devices that it was wrapped for."""
        return frozenset(wrap.device_id for wrap in self.body.wraps)


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterState:
    """What a set of statements says about a realm. Equal sets give equal states, and equal digests."""

    realm_id: RealmId
    genesis_hash: StatementHash
    authority: Authority = field(repr=False)
    certificate_by_device: Mapping[DeviceId, Certificate] = field(repr=False)
    active: frozenset[DeviceId]
    revocation_by_device: Mapping[DeviceId, Revocation] = field(repr=False)
    epochs: tuple[EpochRecord, ...]
    heard_at_by_device: Mapping[DeviceId, int]
    beat_by_device: Mapping[DeviceId, Beat] = field(repr=False)
    heads: tuple[StatementHash, ...] = field(repr=False)
    known_by_heads: frozenset[StatementHash] = field(repr=False)
    digest: bytes
    raw_by_hash: Mapping[StatementHash, bytes] = field(repr=False)
    ignored: Mapping[StatementHash, str]
    superseded: frozenset[StatementHash]

    @property
    def owner_public(self) -> bytes:
        """The key whose signature admits and revokes devices now."""
        return self.authority.keys.owner_public

    @property
    def genesis_raw(self) -> bytes:
        """The statement that founded the realm."""
        return self.raw_by_hash[self.genesis_hash]

    @property
    def usable_epochs(self) -> tuple[EpochRecord, ...]:
        """The epochs that may be sent under, best last.

        A thief could mint the next epoch beforehand, for everyone else, and keep its key: hence all three conditions.
        """
        return tuple(
            epoch
            for epoch in self.epochs
            if epoch.informed and epoch.body.author in self.active and epoch.recipients == self.active
        )

    def sign_public(self, device_id: DeviceId) -> bytes | None:
        """Return the signature key of a device that was ever added (its old batches must still verify), else None."""
        certificate = self.certificate_by_device.get(device_id)
        return None if certificate is None else certificate.sign

    def device_of_noise_key(self, noise_public: bytes) -> DeviceId | None:
        """Return the device, active or not, that opens sessions with `noise_public`, None if none does."""
        return next(
            (device for device, shown in self.certificate_by_device.items() if shown.noise == noise_public), None
        )

    def accepts(self, stream: Stream, origin: Origin, seq: int) -> bool:
        """Tell whether a batch counts: its author is active, or the batch lies within what its Revoke left standing."""
        author = origin_device(origin)
        if author in self.active:
            return True
        revocation = self.revocation_by_device.get(author)
        return revocation is not None and revocation.accepted.get(stream, EMPTY_FRONTIER).covers(origin, seq)


def evaluate(realm_id: RealmId, statements: Iterable[bytes]) -> RosterState:
    """Return the state that `statements` spell, in whatever order and however often they are given.

    Junk changes nothing and is listed in `ignored`. Raises RemoteProtocolError if the realm's Genesis is missing.
    """
    evidence = gather(realm_id, statements)
    authority = max(evidence.authority_by_hash.values(), key=lambda candidate: (candidate.depth, candidate.hash))
    adds = _adds_in_force(evidence, authority)
    revokes = _revokes_in_force(evidence, authority)
    revoked = {revoke.body.device_id for revoke in revokes}
    active = frozenset({add.body.certificate.device_id for add in adds} - revoked)
    rotations = {link.hash for link in authority.chain() if link.previous is not None}
    in_force = rotations.union((add.hash for add in adds), (revoke.hash for revoke in revokes))
    hashes = sorted(evidence.statement_by_hash)
    heads = _heads(evidence, active)
    latest_last = sorted(adds, key=lambda add: (add.body.added_at_milliseconds, add.hash))
    certificates = {add.body.certificate.device_id: add.body.certificate for add in latest_last}
    return RosterState(
        realm_id=realm_id,
        genesis_hash=evidence.of(Genesis)[0].hash,
        authority=authority,
        certificate_by_device={**evidence.certificate_by_device, **certificates},
        active=active,
        revocation_by_device={device: _revocation(evidence, revokes, device, active) for device in sorted(revoked)},
        epochs=_epochs(evidence, in_force),
        heard_at_by_device=_heard_at(evidence),
        beat_by_device={beat.body.author: beat.body for beat in evidence.of(Beat)},
        heads=heads,
        known_by_heads=frozenset(evidence.ancestors(heads)),
        digest=hash256(b"".join(hashes), person=b"nuthatch-roster"),
        raw_by_hash={found: evidence.statement_by_hash[found].raw for found in hashes},
        ignored=evidence.ignored,
        superseded=frozenset(evidence.superseded),
    )


def _adds_in_force(evidence: Evidence, authority: Authority) -> list[Statement[Add]]:
    """Return the Adds of the present owner key, and those of older keys that every later rotation's cut contains."""
    adds = evidence.of(Add)
    kept = {add.hash for add in adds}
    in_force: set[StatementHash] = set()
    for link in authority.chain():
        in_force |= {add.hash for add in adds if add.body.owner_public == link.keys.owner_public} & kept
        if isinstance(link.keys, OwnerRotate):
            kept &= evidence.ancestors(link.keys.cut)
    return [add for add in adds if add.hash in in_force]


def _revokes_in_force(evidence: Evidence, authority: Authority) -> list[Statement[Revoke]]:
    """Return all Revokes but those that an owner key signed and a rotation disowned: in doubt a device is out."""
    owners = evidence.owner_publics()
    disowned = {found for link in authority.chain() if isinstance(link.keys, OwnerRotate) for found in link.keys.disown}
    return [revoke for revoke in evidence.of(Revoke) if not (revoke.hash in disowned and revoke.body.signer in owners)]


def _revocation(
    evidence: Evidence, revokes: Sequence[Statement[Revoke]], device_id: DeviceId, active: frozenset[DeviceId]
) -> Revocation:
    """Return what counts of a revoked device: the join of the owner's cuts and of what active devices had merged.

    A cut that the device signed itself counts only while the owner has not revoked it: a thief would sign a large one.
    """
    owners = evidence.owner_publics()
    of_device = [revoke for revoke in revokes if revoke.body.device_id == device_id]
    counting = [revoke.body for revoke in of_device if revoke.body.signer in owners] or [
        revoke.body for revoke in of_device
    ]
    hashes = tuple(revoke.hash for revoke in of_device)
    accepted: dict[Stream, Frontier] = {}
    for body in counting:
        accepted = join_frontiers(accepted, read_frontiers(body.cut))
    for seen in evidence.of(Seen):
        if seen.body.revoke in hashes and seen.body.author in active:
            accepted = join_frontiers(accepted, _only_of(device_id, read_frontiers(seen.body.frontiers)))
    return Revocation(device_id=device_id, reason=counting[0].reason, revokes=hashes, accepted=accepted)


def _only_of(device_id: DeviceId, frontiers: Mapping[Stream, Frontier]) -> dict[Stream, Frontier]:
    return {
        stream: Frontier(
            {origin: entry for origin, entry in frontier.entries.items() if origin_device(origin) == device_id}
        )
        for stream, frontier in frontiers.items()
    }


def _epochs(evidence: Evidence, in_force: set[StatementHash]) -> tuple[EpochRecord, ...]:
    records = (
        EpochRecord(hash=epoch.hash, body=epoch.body, informed=in_force <= evidence.ancestors(epoch.heads))
        for epoch in evidence.of(Epoch)
    )
    return tuple(sorted(records, key=lambda record: record.order))


def _heard_at(evidence: Evidence) -> dict[DeviceId, int]:
    """Return when each device last signed something that says when, in milliseconds of its own clock."""
    heard: dict[DeviceId, int] = {}
    dated = [(beat.body.author, beat.body.at_milliseconds) for beat in evidence.of(Beat)]
    dated += [(epoch.body.author, epoch.body.minted_at_milliseconds) for epoch in evidence.of(Epoch)]
    for author, at_milliseconds in dated:
        heard[author] = max(at_milliseconds, heard.get(author, 0))
    return dict(sorted(heard.items()))


def _heads(evidence: Evidence, active: frozenset[DeviceId]) -> tuple[StatementHash, ...]:
    """Return what a new statement has to name: what nothing else names, membership first should there be too many.

    Beats and Seens are never named, so old ones can be dropped; neither are epochs of a revoked device, so it cannot
    crowd out the rest.
    """
    membership: set[StatementHash] = set()
    epochs: set[StatementHash] = set()
    for found, statement in evidence.statement_by_hash.items():
        match statement.body:
            case Genesis() | Add() | Revoke() | OwnerRotate():
                membership.add(found)
            case Epoch(author=author) if author in active:
                epochs.add(found)
            case _:
                pass
    named = (head for found in membership | epochs for head in evidence.statement_by_hash[found].heads)
    covered = evidence.ancestors(named)
    ordered = [*sorted(membership - covered), *sorted(epochs - covered, reverse=True)]
    return tuple(sorted(ordered[:HEADS_MAX]))


def may_send(
    state: RosterState,
    me: DeviceId,
    now_milliseconds: int,
    peer: DeviceId,
    *,
    in_touch_at_milliseconds: int | None = None,
) -> bool:
    """Tell whether this device may send to `peer`, or only receive, because it might have missed a Revoke of it.

    It may if it was last allowed to exchange with any device within 30 days (`in_touch_at_milliseconds`, which the
    caller keeps), if a device other than `peer` was heard of within 30 days, or if there is no other device.
    """
    if peer not in state.active or me not in state.active:
        return False
    if in_touch_at_milliseconds is not None and now_milliseconds - in_touch_at_milliseconds <= FRESH_MILLISECONDS:
        return True
    others = state.active - {me, peer}
    return not others or any(
        now_milliseconds - FRESH_MILLISECONDS <= state.heard_at_by_device.get(other, -1)
        and state.heard_at_by_device[other] <= now_milliseconds + CLOCK_AHEAD_MILLISECONDS_MAX
        for other in others
    )
