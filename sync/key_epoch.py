"""Key epochs: minting the next secret for the active devices, opening those received, choosing one to send under.

An epoch's secret is 32 random bytes that no earlier secret helps to find. From it, one way each, come the key id that
an envelope shows, the keys that seal envelopes, and the discovery secret that opens sessions; the Epoch statement
states the key id, so all its recipients hold the same secret or know that they do not. PROTOCOL.md, section 5.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from crdt.identifiers import DeviceId
from sync.crypto import KEY_BYTES, derive_key, domain, seal, unseal
from sync.envelope import epoch_key_id
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.identifiers import RealmId, StatementHash
from sync.identity import DeviceKeys
from sync.roster import EpochRecord, RosterState
from sync.statements import ACTIVE_DEVICES_MAX, Epoch, Wrap, sign_statement

#: A new epoch is due after this long, counted on the clock of whoever asks.
EPOCH_MILLISECONDS_MAX = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSecret:
    """An epoch that this device can open: `key` and `discovery_secret` are 32 bytes, `n` its number."""

    key: bytes = field(repr=False)
    discovery_secret: bytes = field(repr=False)
    n: int
    hash: StatementHash


def discovery_secret(epoch_key: bytes) -> bytes:
    """Return the 32 bytes that let devices find and greet each other; they tell nothing about `epoch_key`."""
    return derive_key(epoch_key, "discovery")


def mint_entropy_bytes(recipients: int) -> int:
    """Return how many random bytes `mint_epoch` takes for this many active devices."""
    return KEY_BYTES * (1 + recipients)


def mint_epoch(state: RosterState, keys: DeviceKeys, *, entropy: bytes, now_milliseconds: int) -> bytes:
    """Return the Epoch that follows all that `state` holds, for its active devices, signed by the device of `keys`.

    `entropy` is `mint_entropy_bytes(len(state.active))` random bytes: the secret, then an ephemeral key a recipient.
    Raises LocalProtocolError if the device is not active or the length is another.
    """
    author = keys.device_id
    recipients = sorted(state.active)
    if author not in state.active:
        raise LocalProtocolError("Only an active device can mint a key epoch.")
    if len(recipients) > ACTIVE_DEVICES_MAX:
        raise LocalProtocolError(f"A realm has at most {ACTIVE_DEVICES_MAX} active devices; revoke one first.")
    if len(entropy) != mint_entropy_bytes(len(recipients)):
        raise LocalProtocolError("Minting takes 32 random bytes, and 32 more for each active device.")
    epoch_key, *ephemerals = (entropy[start : start + KEY_BYTES] for start in range(0, len(entropy), KEY_BYTES))
    key_id = epoch_key_id(epoch_key)
    wraps = tuple(
        Wrap(
            recipient,
            seal(
                state.certificate_by_device[recipient].seal,
                ephemeral,
                wrapped(state.realm_id, key_id, recipient, epoch_key),
            ),
        )
        for recipient, ephemeral in zip(recipients, ephemerals, strict=True)
    )
    body = Epoch(
        author=author,
        number=1 + max((epoch.body.number for epoch in _ancestors_of_heads(state)), default=0),
        key_id=key_id,
        minted_at_milliseconds=now_milliseconds,
        wraps=wraps,
        heads=state.heads,
    )
    return sign_statement(body, state.realm_id, keys.sign_seed)


def _ancestors_of_heads(state: RosterState) -> Iterator[EpochRecord]:
    """Yield the epochs that a statement made now has among its ancestors: those of active authors, and theirs."""
    return (epoch for epoch in state.epochs if epoch.hash in state.known_by_heads)


def wrapped(realm_id: RealmId, key_id: bytes, recipient: DeviceId, epoch_key: bytes) -> bytes:
    """Return what is sealed: everything that says for whom and for what, then the secret."""
    return domain("wrap") + realm_id + key_id + recipient + epoch_key


def open_epochs(state: RosterState, device_id: DeviceId, seal_secret: bytes) -> list[EpochSecret]:
    """Return every epoch that was wrapped for this device and is what it claims to be, lowest (number, hash) first.

    A wrap that does not open, or holds another secret than the epoch states, is as good as none.
    """
    secrets: list[EpochSecret] = []
    for epoch in state.epochs:
        for wrap in epoch.body.wraps:
            if wrap.device_id != device_id:
                continue
            try:
                key = _unwrap(state.realm_id, epoch.body, device_id, unseal(seal_secret, wrap.sealed))
            except RemoteProtocolError:
                continue
            secrets.append(
                EpochSecret(key=key, discovery_secret=discovery_secret(key), n=epoch.body.number, hash=epoch.hash)
            )
    return secrets


def _unwrap(realm_id: RealmId, body: Epoch, device_id: DeviceId, plaintext: bytes) -> bytes:
    """Return the secret in an opened wrap, or raise RemoteProtocolError if it was made for anything else."""
    key = plaintext[-KEY_BYTES:]
    if plaintext != wrapped(realm_id, body.key_id, device_id, key) or epoch_key_id(key) != body.key_id:
        raise RemoteProtocolError("This wrap was made for another realm, epoch or device.")
    return key


def sending_epoch(state: RosterState, secrets: Iterable[EpochSecret]) -> EpochSecret | None:
    """Return the epoch to send under now, None if one has to be minted first.

    It is the one of greatest (number, hash) among those that are usable and can be opened here: concurrent epochs stay
    readable, and everyone who holds the same statements picks the same one.
    """
    secret_by_hash = {secret.hash: secret for secret in secrets}
    usable = [epoch for epoch in state.usable_epochs if epoch.hash in secret_by_hash]
    return secret_by_hash[usable[-1].hash] if usable else None


def epoch_is_due(state: RosterState, now_milliseconds: int) -> bool:
    """Tell whether a new epoch has to be minted: none is usable any more, or the latest is 30 days old."""
    usable = state.usable_epochs
    return not usable or now_milliseconds - usable[-1].body.minted_at_milliseconds >= EPOCH_MILLISECONDS_MAX


def minting_rank(state: RosterState, device_id: DeviceId) -> int:
    """Return how many active devices come before this one: rank 0 mints at once, others wait, longer by their rank."""
    return sum(1 for active in state.active if active < device_id)
