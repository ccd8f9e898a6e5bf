"""What a pairing asks the program around it to do: frozen values, carried out in order."""

from dataclasses import dataclass, field

from crdt.identifiers import DeviceId
from sync.effects import SendFrame
from sync.identifiers import RealmId
from sync.identity import Certificate
from sync.key_epoch import EpochSecret
from sync.pairing_messages import CancelReason
from sync.roster import RosterState


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareDigits:
    """Show these digits and ask the person whether the other screen shows the same; no answer is not a yes.

    `certificate` is the newcomer's, on both sides. The sponsor should say that this device will read all memory.
    """

    digits: str
    certificate: Certificate

    @property
    def device_id(self) -> DeviceId:
        """The device that would be added."""
        return self.certificate.device_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatements:
    """Sponsor: commit these statements (the newcomer's Add and a new Epoch) durably, before anything else is sent."""

    statements: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Sponsor: the newcomer has stored everything; the pairing is over."""

    certificate: Certificate

    @property
    def device_id(self) -> DeviceId:
        """The device that was added."""
        return self.certificate.device_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Newcomer: commit `statements` durably, before the next effect tells the sponsor; the pairing is over."""

    realm_id: RealmId
    statements: tuple[bytes, ...] = field(repr=False)
    state: RosterState = field(repr=False)
    sponsor: Certificate
    epoch: EpochSecret
    older_discovery_secrets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The other side ended the pairing; nothing was changed here."""

    reason: CancelReason


PairingEffect = SendFrame | CompareDigits | StoreStatements | Paired | Joined | Cancelled
