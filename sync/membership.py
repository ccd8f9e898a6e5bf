"""What one device knows of its realm at one moment: the roster, and the key epochs that it can open and send under."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crdt.identifiers import DeviceId
from sync.envelope import epoch_key_id
from sync.identifiers import RealmId
from sync.key_epoch import EpochSecret, open_epochs, sending_epoch
from sync.roster import RosterState, evaluate, may_send
from sync.statements import Add, decode_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A pure function of the statements held and of this device's sealing key; `secrets` stand newest first.

    `in_touch_at_milliseconds` is when this device last knew that it was not cut off from the others (ms since 1970).
    """

    realm_id: RealmId
    device_id: DeviceId
    roster: RosterState
    secrets: tuple[EpochSecret, ...] = field(repr=False)
    sending: EpochSecret | None = field(repr=False)
    epoch_key_by_key_id: Mapping[bytes, bytes] = field(repr=False)
    in_touch_at_milliseconds: int | None

    def is_active(self, device_id: DeviceId) -> bool:
        """Tell whether a device is a member now."""
        return device_id in self.roster.active

    def may_send(self, peer: DeviceId, now_milliseconds: int) -> bool:
        """Tell whether this device may send to `peer`, or might have missed that the peer was revoked."""
        return may_send(
            self.roster,
            self.device_id,
            now_milliseconds,
            peer,
            in_touch_at_milliseconds=self.in_touch_at_milliseconds,
        )

    def in_touch(self, now_milliseconds: int) -> bool:
        """Tell whether this device may send to anybody, or is the only one: then it may also speak for the realm."""
        others = self.roster.active - {self.device_id}
        return self.is_active(self.device_id) and (
            not others or any(self.may_send(other, now_milliseconds) for other in others)
        )

    def discovery_secrets(self) -> tuple[bytes, ...]:
        """Return the realm's discovery secrets, newest first."""
        return tuple(secret.discovery_secret for secret in self.secrets)


def open_membership(
    *, realm_id: RealmId, device_id: DeviceId, seal_secret: bytes, statements: Iterable[bytes]
) -> Membership:
    """Return what `statements` mean to the device that holds `seal_secret`; invalid ones mean nothing.

    Raises RemoteProtocolError if the realm's Genesis is missing.
    """
    roster = evaluate(realm_id, statements)
    secrets = open_epochs(roster, device_id, seal_secret)
    return Membership(
        realm_id=realm_id,
        device_id=device_id,
        roster=roster,
        secrets=tuple(sorted(secrets, key=lambda secret: (secret.n, secret.hash), reverse=True)),
        sending=sending_epoch(roster, secrets),
        epoch_key_by_key_id={epoch_key_id(secret.key): secret.key for secret in secrets},
        in_touch_at_milliseconds=_in_touch_at(roster, device_id),
    )


def _in_touch_at(roster: RosterState, device_id: DeviceId) -> int | None:
    """Return the time of this device's last Beat or Epoch, or of the last Add that the owner signed beside it.

    A device makes neither Beat nor Epoch while it may be cut off, so its own word is worth something to itself; and who
    holds the owner key has nothing to fear from a Revoke that was missed. None if there is nothing of the kind.
    """
    moments = [roster.heard_at_by_device[device_id]] if device_id in roster.heard_at_by_device else []
    for raw in roster.raw_by_hash.values():
        add = decode_statement(raw).body
        if isinstance(add, Add) and device_id in (add.certificate.device_id, add.sponsor):
            moments.append(add.added_at_milliseconds)
    return max(moments, default=None)
