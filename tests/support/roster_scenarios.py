"""Builds roster statements that a person's own code does not make yet, or that only a thief would make."""

from collections.abc import Iterable

from crdt.identifiers import DeviceId, make_origin
from sync.crypto import seal, sign_keypair, x25519_keypair
from sync.envelope import epoch_key_id
from sync.frontier import Frontier, FrontierEntry
from sync.identifiers import StatementHash
from sync.identity import DeviceKeys, make_certificate
from sync.key_epoch import wrapped
from sync.realm import root_keys, spell_recovery_code
from sync.roster import RosterState
from sync.statements import (
    Add,
    Beat,
    Epoch,
    OwnerRotate,
    Revoke,
    RevokeReason,
    Seen,
    StreamFrontier,
    Wrap,
    sign_statement,
    state_frontiers,
)
from sync.streams import Stream
from tests.support.realm_factory import NOW_MILLISECONDS, SeededEntropy

INCARNATION = bytes(8)


def recovery_seed(seed: str = "realm") -> bytes:
    """Return the root signature seed of the realm that `found_realm(seed=seed)` founds."""
    entropy = SeededEntropy(seed)
    # The draws of found_realm before the code: the owner seed and three device keys.
    for _ in range(4):
        entropy.take(32)
    code = spell_recovery_code(entropy.take(20))
    return root_keys(code, entropy.take(16)).sign_seed


def frontiers(device_id: DeviceId, seq: int) -> tuple[StreamFrontier, ...]:
    """Return the frontier "batches of this device up to `seq`" of stream memories, as a statement carries it."""
    entry = FrontierEntry(seq, seq.to_bytes(8, "big"))
    return state_frontiers({Stream.MEMORIES: Frontier({make_origin(device_id, INCARNATION): entry})})


def add(state: RosterState, keys: DeviceKeys, owner_seed: bytes, *, name: str = "tablet", at: int = 1) -> bytes:
    """Return an Add signed with any owner key, in force or not."""
    body = Add(
        owner_public=sign_keypair(owner_seed).public,
        certificate=make_certificate(keys.public, name=name, platform="linux"),
        sponsor=keys.device_id,
        added_at_milliseconds=at,
        heads=state.heads,
    )
    return sign_statement(body, state.realm_id, owner_seed, keys.sign_seed)


def revoke(state: RosterState, device_id: DeviceId, signer_seed: bytes, *, cut_seq: int = 0) -> bytes:
    """Return a Revoke signed with any key, leaving batches up to `cut_seq` of stream memories standing."""
    body = Revoke(
        signer=sign_keypair(signer_seed).public,
        device_id=device_id,
        reason=RevokeReason.STOLEN,
        cut=frontiers(device_id, cut_seq) if cut_seq else (),
        heads=state.heads,
    )
    return sign_statement(body, state.realm_id, signer_seed)


def seen(state: RosterState, author: DeviceKeys, revoke_hash: StatementHash, parts: Iterable[StreamFrontier]) -> bytes:
    """Return a Seen of `author`."""
    body = Seen(author=author.device_id, revoke=revoke_hash, frontiers=tuple(parts), heads=state.heads)
    return sign_statement(body, state.realm_id, author.sign_seed)


def beat(state: RosterState, author: DeviceKeys, at_milliseconds: int = NOW_MILLISECONDS) -> bytes:
    """Return a Beat of `author`."""
    body = Beat(author=author.device_id, at_milliseconds=at_milliseconds, frontiers=(), heads=state.heads)
    return sign_statement(body, state.realm_id, author.sign_seed)


def epoch(
    state: RosterState,
    author: DeviceKeys,
    recipients: Iterable[DeviceId],
    entropy: SeededEntropy,
    *,
    number: int | None = None,
) -> bytes:
    """Return an Epoch for any recipients and of any number: what a thief that is still a member could mint."""
    key = entropy.take(32)
    key_id = epoch_key_id(key)
    highest = max((record.body.number for record in state.epochs if record.hash in state.known_by_heads), default=0)
    body = Epoch(
        author=author.device_id,
        number=highest + 1 if number is None else number,
        key_id=key_id,
        minted_at_milliseconds=NOW_MILLISECONDS,
        wraps=tuple(
            Wrap(
                recipient,
                seal(
                    state.certificate_by_device[recipient].seal,
                    entropy.take(32),
                    wrapped(state.realm_id, key_id, recipient, key),
                ),
            )
            for recipient in sorted(recipients)
        ),
        heads=state.heads,
    )
    return sign_statement(body, state.realm_id, author.sign_seed)


def rotate(
    state: RosterState,
    root_seed: bytes,
    entropy: SeededEntropy,
    *,
    cut: Iterable[StatementHash],
    disown: Iterable[StatementHash] = (),
    previous: StatementHash | None = None,
) -> tuple[bytes, bytes, bytes]:
    """Return an OwnerRotate signed by `root_seed`, the new owner seed and the new root seed."""
    owner_seed, root_sign_seed, root_seal_secret = entropy.take(32), entropy.take(32), entropy.take(32)
    body = OwnerRotate(
        previous=previous or state.authority.hash,
        owner_public=sign_keypair(owner_seed).public,
        root_public=sign_keypair(root_sign_seed).public,
        root_seal_public=x25519_keypair(root_seal_secret).public,
        recovery_salt=entropy.take(16),
        cut=tuple(sorted(cut)),
        disown=tuple(sorted(disown)),
        heads=state.heads,
    )
    return sign_statement(body, state.realm_id, root_seed), owner_seed, root_sign_seed
