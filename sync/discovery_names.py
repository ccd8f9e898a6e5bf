"""The names under which devices of a realm find each other on a local network, and strangers find nothing.

A name is a keyed hash of device and day: who holds a discovery secret of the realm knows which names to expect, anybody
else sees 64 bits that mean nothing and are others tomorrow. PROTOCOL.md, section 10.
"""

from collections.abc import Mapping, Sequence

from crdt.identifiers import DeviceId
from sync.crypto import derive_key
from sync.limits import DISCOVERY_SECRETS_MAX
from sync.membership import Membership
from sync.wire import length_prefixed

#: Service types of RFC 6763. TXT says the version of this scheme and nothing else.
SESSION_SERVICE = "_nuthatch._tcp"
PAIRING_SERVICE = "_nuthatch-pair._tcp"
VERSION_TEXT = "v=1"

DAY_MILLISECONDS = 24 * 3600 * 1000
NAME_BYTES = 8
# Two clocks may differ by a day, and so may the names that their devices believe to be today's.
_DAYS_OFF = (0, -1, 1)


def day_of(now_milliseconds: int) -> int:
    """Return the number of the day (UTC, since 1970) at a time in milliseconds since 1970; never negative."""
    return max(0, now_milliseconds // DAY_MILLISECONDS)


def device_name(discovery_secret: bytes, day: int, device_id: DeviceId) -> str:
    """Return a device's name (16 hex characters) on a day, for those who hold the secret (32 bytes)."""
    return _name(discovery_secret, "mdns", day, device_id)


def shown_names(membership: Membership, now_milliseconds: int) -> tuple[str, ...]:
    """Return the names under which this device announces itself, always DISCOVERY_SECRETS_MAX of them.

    There is one for each of the newest secrets that no revoked device was given. Those missing are filled up with
    names that nobody expects, so that their number tells nothing. A device without any secret shows none.
    """
    if not membership.secrets:
        return ()
    active = membership.roster.active
    recipients_by_epoch = {epoch.hash: epoch.recipients for epoch in membership.roster.epochs}
    newest = membership.secrets[:DISCOVERY_SECRETS_MAX]
    unrevoked = [secret for secret in newest if recipients_by_epoch.get(secret.hash, frozenset()) <= active]
    day = day_of(now_milliseconds)
    names = [device_name(secret.discovery_secret, day, membership.device_id) for secret in unrevoked]
    filling = newest[0].discovery_secret
    names += [
        _name(filling, "mdns-nobody", day, membership.device_id, bytes([position]))
        for position in range(len(names), DISCOVERY_SECRETS_MAX)
    ]
    return tuple(sorted(names))


def greeting_secrets(membership: Membership, older_discovery_secrets: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the secrets with which this device may greet another, best first: its newest, then those it was given."""
    return (*membership.discovery_secrets(), *older_discovery_secrets)[:DISCOVERY_SECRETS_MAX]


def expected_names(
    membership: Membership, older_discovery_secrets: Sequence[bytes], now_milliseconds: int
) -> Mapping[str, DeviceId]:
    """Return which name stands for which other active device today, yesterday or tomorrow, by any secret held."""
    today = day_of(now_milliseconds)
    others = membership.roster.active - {membership.device_id}
    return {
        device_name(secret, today + off, device_id): device_id
        for secret in greeting_secrets(membership, older_discovery_secrets)
        for off in _DAYS_OFF
        for device_id in others
        if today + off >= 0
    }


def _name(secret: bytes, label: str, day: int, *parts: bytes) -> str:
    return derive_key(secret, label, length_prefixed(day.to_bytes(4, "big"), *parts))[:NAME_BYTES].hex()
