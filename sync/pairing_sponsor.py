"""The trusted device's side of a pairing. The table of messages stands in `sync.pairing`."""

from enum import Enum, auto

from sync.crypto import KEY_BYTES, sign_keypair, signed_message, verify
from sync.effects import SendFrame
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.identity import Certificate, DeviceKeys
from sync.key_epoch import mint_entropy_bytes, mint_epoch, open_epochs
from sync.limits import DISCOVERY_SECRETS_MAX
from sync.noise import NoiseHandshake, NoiseTransport
from sync.pairing_code import PairingCode
from sync.pairing_effects import Cancelled, CompareDigits, Paired, PairingEffect, StoreStatements
from sync.pairing_messages import (
    PROLOGUE,
    Admit,
    Cancel,
    CancelReason,
    Commit,
    Contribute,
    Countersign,
    Done,
    Introduce,
    Message,
    Propose,
    Reveal,
    commitment,
    comparison_digits,
    decode_message,
    encode_message,
    introduction_message,
    roster_parts,
)
from sync.pairing_window import PairingClosed, PairingWindow
from sync.roster import RosterState, evaluate
from sync.statements import ACTIVE_DEVICES_MAX, Add, assemble, encode_body, sign_body


class _Step(Enum):
    CALL = auto()
    PROOF = auto()
    INTRODUCTION = auto()
    CONTRIBUTION = auto()
    PERSON = auto()
    COUNTERSIGNATURE = auto()
    STORED = auto()
    OVER = auto()


class PairingSponsor:
    """One connection of one caller. Create it when a link opens, feed it frames, and answer its CompareDigits once.

    Inputs raise RemoteProtocolError for what the caller did wrong, PairingClosed when the window is over (the person
    should be told), LocalProtocolError for a call out of turn; each of them ends the pairing with nothing changed.
    """

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        state: RosterState,
        code: PairingCode,
        window: PairingWindow,
        ephemeral_secret: bytes,
        nonce: bytes,
        now: float,
    ) -> None:
        """`ephemeral_secret` and `nonce` are 32 fresh random bytes each; `now` is in the window's seconds.

        Raises PairingClosed if the window takes nobody now.
        """
        if keys.device_id not in state.active:
            raise LocalProtocolError("Only an active device of the realm can admit another.")
        if len(nonce) != KEY_BYTES:
            raise LocalProtocolError("A pairing takes a nonce of 32 bytes.")
        window.check_open(now)
        self._keys = keys
        self._state = state
        self._window = window
        self._nonce = nonce
        self._handshake = NoiseHandshake(
            initiator=False,
            static_secret=keys.noise_secret,
            ephemeral_secret=ephemeral_secret,
            psk=code.psk,
            prologue=PROLOGUE,
        )
        self._transport: NoiseTransport | None = None
        self._certificate: Certificate | None = None
        self._add_body = b""
        self._owner_signature = b""
        self._epoch_entropy = b""
        self._step = _Step.CALL

    @property
    def over(self) -> bool:
        """Whether nothing can come of this pairing any more, or everything has: the link is to be closed."""
        return self._step is _Step.OVER

    def receive(self, frame: bytes, *, now: float, now_milliseconds: int) -> list[PairingEffect]:
        """Take the caller's next frame; `now` in the window's seconds, `now_milliseconds` since 1970."""
        step, self._step = self._step, _Step.OVER
        if step in (_Step.CALL, _Step.PROOF):
            return self._shake_hands(step, frame, now)
        if step is not _Step.STORED:
            self._window.check_going_on(now)
        message = self._open(frame, step)
        match step, message:
            case _, Cancel(reason=reason) if step is not _Step.STORED:
                return [Cancelled(reason=reason)]
            case _Step.INTRODUCTION, Introduce():
                return self._introduced(message)
            case _Step.CONTRIBUTION, Contribute(nonce=nonce):
                return self._reveal(nonce)
            case _Step.COUNTERSIGNATURE, Countersign(signature=signature):
                return self._admit(signature, now_milliseconds)
            case _Step.STORED, Done():
                return [Paired(certificate=self._newcomer())]
            case _:
                raise RemoteProtocolError("The other device sent a pairing message out of turn.")

    def epoch_entropy_bytes(self, state: RosterState) -> int:
        """Return how many random bytes `accept` takes under this roster."""
        return mint_entropy_bytes(len(state.active | {self._newcomer().device_id}))

    def accept(
        self,
        *,
        owner_seed: bytes,
        state: RosterState,
        epoch_entropy: bytes,
        now: float,
        now_milliseconds: int,
    ) -> list[PairingEffect]:
        """Take the person's yes: sign the Add as the owner (`owner_seed`, 32 bytes) and send the realm's statements.

        `state` is the roster as it is now, `epoch_entropy` as many random bytes as `epoch_entropy_bytes(state)` says.
        """
        self._expect_person()
        self._window.check_going_on(now)
        certificate = self._newcomer()
        self._check_admissible(certificate, state)
        if sign_keypair(owner_seed).public != state.owner_public:
            raise LocalProtocolError("This owner key was replaced; unlock the one that is in force.")
        if len(epoch_entropy) != self.epoch_entropy_bytes(state):
            raise LocalProtocolError("Accepting takes as many random bytes as epoch_entropy_bytes says.")
        self._state = state
        self._epoch_entropy = epoch_entropy
        self._add_body = encode_body(
            Add(
                owner_public=state.owner_public,
                certificate=certificate,
                sponsor=self._keys.device_id,
                added_at_milliseconds=now_milliseconds,
                heads=state.heads,
            )
        )
        self._owner_signature = sign_body(owner_seed, "add", state.realm_id, self._add_body)
        self._step = _Step.COUNTERSIGNATURE
        return [
            *self._seal(*roster_parts(state.raw_by_hash.values())),
            *self._seal(Propose(self._add_body, self._owner_signature)),
        ]

    def refuse(self) -> list[PairingEffect]:
        """Take the person's no, or the lack of an answer: tell the other side; nothing is changed."""
        self._expect_person()
        self._window.close("The pairing was refused on this device.")
        return self._seal(Cancel(CancelReason.PERSON_REFUSED))

    def give_up(self) -> list[PairingEffect]:
        """The window closed before both people had answered: tell the other side; nothing is changed."""
        if self._transport is None or self._step in (_Step.STORED, _Step.OVER):
            return []
        self._step = _Step.OVER
        return self._seal(Cancel(CancelReason.WINDOW_CLOSED))

    def link_lost(self) -> None:
        """Take notice that the link broke. A handshake that never finished counts as a failed one."""
        if self._step is _Step.PROOF:
            self._window.handshake_failed()
        self._step = _Step.OVER

    def _expect_person(self) -> None:
        if self._step is not _Step.PERSON:
            raise LocalProtocolError("The person was not asked yet, or has answered already.")
        self._step = _Step.OVER

    def _shake_hands(self, step: _Step, frame: bytes, now: float) -> list[PairingEffect]:
        self._window.check_open(now)
        try:
            payload = self._handshake.read_message(frame)
            if payload:
                raise RemoteProtocolError("The pairing handshake carries nothing from the newcomer.")
        except RemoteProtocolError:
            self._window.handshake_failed()
            raise
        if step is _Step.CALL:
            self._step = _Step.PROOF
            return [SendFrame(frame=self._handshake.write_message(self._state.realm_id))]
        self._window.claim(now)
        self._transport = self._handshake.split()
        self._step = _Step.INTRODUCTION
        return []

    def _introduced(self, introduction: Introduce) -> list[PairingEffect]:
        certificate = introduction.certificate
        if certificate.noise != self._handshake.remote_static:
            raise RemoteProtocolError("The newcomer's certificate shows another key than its handshake.")
        channel = self._handshake.handshake_hash
        verify(
            certificate.sign,
            introduction.signature,
            introduction_message(self._state.realm_id, channel, certificate),
        )
        self._check_admissible(certificate, self._state)
        self._certificate = certificate
        self._step = _Step.CONTRIBUTION
        return self._seal(Commit(commitment(channel, self._nonce)))

    def _check_admissible(self, certificate: Certificate, state: RosterState) -> None:
        device_id = certificate.device_id
        if device_id == self._keys.device_id:
            raise RemoteProtocolError("The other device shows the keys of this one; it may be a copy of it.")
        if device_id in state.revocation_by_device:
            raise RemoteProtocolError("The other device was removed from this realm; it has to be set up anew.")
        if len(state.active | {device_id}) > ACTIVE_DEVICES_MAX:
            raise PairingClosed(f"A realm has at most {ACTIVE_DEVICES_MAX} devices; remove one first.")

    def _reveal(self, newcomer_nonce: bytes) -> list[PairingEffect]:
        certificate = self._newcomer()
        digits = comparison_digits(
            self._handshake.handshake_hash,
            sponsor_nonce=self._nonce,
            newcomer_nonce=newcomer_nonce,
            certificate=certificate,
        )
        self._step = _Step.PERSON
        return [*self._seal(Reveal(self._nonce)), CompareDigits(digits=digits, certificate=certificate)]

    def _admit(self, signature: bytes, now_milliseconds: int) -> list[PairingEffect]:
        """Complete the Add, mint the epoch that includes the newcomer, and let both be stored before they are sent."""
        state = self._state
        certificate = self._newcomer()
        verify(certificate.sign, signature, signed_message("add-device", state.realm_id, self._add_body))
        add_raw = assemble(self._add_body, (self._owner_signature, signature))
        grown = evaluate(state.realm_id, [*state.raw_by_hash.values(), add_raw])
        epoch_raw = mint_epoch(grown, self._keys, entropy=self._epoch_entropy, now_milliseconds=now_milliseconds)
        self._epoch_entropy = b""
        self._step = _Step.STORED
        return [
            StoreStatements(statements=(add_raw, epoch_raw)),
            *self._seal(Admit(epoch_raw, self._older_discovery_secrets(state))),
        ]

    def _older_discovery_secrets(self, state: RosterState) -> tuple[bytes, ...]:
        secrets = open_epochs(state, self._keys.device_id, self._keys.seal_secret)
        return tuple(secret.discovery_secret for secret in reversed(secrets[-DISCOVERY_SECRETS_MAX:]))

    def _newcomer(self) -> Certificate:
        if self._certificate is None:
            raise LocalProtocolError("The newcomer has not introduced itself yet.")
        return self._certificate

    def _seal(self, *messages: Message) -> list[PairingEffect]:
        if self._transport is None:
            raise LocalProtocolError("There is no channel to the newcomer yet.")
        return [SendFrame(frame=self._transport.encrypt(encode_message(message))) for message in messages]

    def _open(self, frame: bytes, step: _Step) -> Message:
        if self._transport is None or step is _Step.OVER:
            raise RemoteProtocolError("The pairing is over.")
        return decode_message(self._transport.decrypt(frame))
