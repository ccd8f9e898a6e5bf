"""The new device's side of a pairing. The table of messages stands in `sync.pairing`."""

from enum import Enum, auto
from hmac import compare_digest

from sync.crypto import KEY_BYTES, sign, signed_message, verify
from sync.effects import SendFrame
from sync.errors import LocalProtocolError, RemoteProtocolError
from sync.identifiers import REALM_ID_BYTES, RealmId
from sync.identity import Certificate, DeviceKeys, make_certificate
from sync.key_epoch import open_epochs, sending_epoch
from sync.noise import NoiseHandshake, NoiseTransport
from sync.pairing_code import PairingCode, sponsor_check
from sync.pairing_effects import Cancelled, CompareDigits, Joined, PairingEffect
from sync.pairing_messages import (
    PROLOGUE,
    ROSTER_BYTES_MAX,
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
    RosterPart,
    commitment,
    comparison_digits,
    decode_message,
    encode_message,
    introduction_message,
)
from sync.roster import RosterState, evaluate
from sync.statements import Add, assemble, decode_body, sign_body


class _Step(Enum):
    START = auto()
    SPONSOR = auto()
    COMMITMENT = auto()
    REVELATION = auto()
    PROPOSAL = auto()
    PERSON = auto()
    ADMISSION = auto()
    OVER = auto()


class PairingNewcomer:
    """One attempt to join with one code: `start`, feed it frames, answer its CompareDigits, wait for Joined.

    Inputs raise RemoteProtocolError for what the other side did wrong, LocalProtocolError for a call out of turn; each
    ends the attempt. Nothing may be stored before Joined.
    """

    def __init__(
        self,
        *,
        code: PairingCode,
        keys: DeviceKeys,
        name: str,
        platform: str,
        ephemeral_secret: bytes,
        nonce: bytes,
    ) -> None:
        """`ephemeral_secret` and `nonce` are 32 fresh random bytes each. Raises UnusableName for name or platform."""
        if len(nonce) != KEY_BYTES:
            raise LocalProtocolError("A pairing takes a nonce of 32 bytes.")
        self._code = code
        self._keys = keys
        self._certificate = make_certificate(keys.public, name=name, platform=platform)
        self._nonce = nonce
        self._handshake = NoiseHandshake(
            initiator=True,
            static_secret=keys.noise_secret,
            ephemeral_secret=ephemeral_secret,
            psk=code.psk,
            prologue=PROLOGUE,
        )
        self._transport: NoiseTransport | None = None
        self._realm_id = RealmId(b"")
        self._commitment = b""
        self._person_agreed = False
        self._statements: list[bytes] = []
        self._statements_bytes = 0
        self._proposal: Propose | None = None
        self._step = _Step.START

    @property
    def over(self) -> bool:
        """Whether nothing more can come of this attempt: the link is to be closed."""
        return self._step is _Step.OVER

    def start(self) -> list[PairingEffect]:
        """Begin: return the first frame."""
        if self._step is not _Step.START:
            raise LocalProtocolError("A pairing starts once.")
        self._step = _Step.SPONSOR
        return [SendFrame(frame=self._handshake.write_message())]

    def receive(self, frame: bytes) -> list[PairingEffect]:
        """Take the sponsor's next frame."""
        step, self._step = self._step, _Step.OVER
        if step is _Step.SPONSOR:
            return self._greet(frame)
        message = self._open(frame, step)
        match step, message:
            case _, Cancel(reason=reason):
                return [Cancelled(reason=reason)]
            case _Step.COMMITMENT, Commit():
                self._commitment = message.commitment
                self._step = _Step.REVELATION
                return self._seal(Contribute(self._nonce))
            case _Step.REVELATION, Reveal(nonce=nonce):
                return self._show_digits(nonce)
            case _Step.PROPOSAL, RosterPart(statements=statements):
                self._collect(statements)
                self._step = _Step.PROPOSAL
                return []
            case _Step.PROPOSAL, Propose():
                return self._proposed(message)
            case _Step.ADMISSION, Admit():
                return self._admitted(message)
            case _:
                raise RemoteProtocolError("The other device sent a pairing message out of turn.")

    def accept(self) -> list[PairingEffect]:
        """Take the person's yes: this device belongs to the realm as soon as the sponsor's person says so too."""
        self._expect_person()
        self._person_agreed = True
        return self._countersign() if self._proposal is not None else []

    def refuse(self) -> list[PairingEffect]:
        """Take the person's no: tell the other side; nothing was changed."""
        self._expect_person()
        self._step = _Step.OVER
        return self._seal(Cancel(CancelReason.PERSON_REFUSED))

    def _expect_person(self) -> None:
        if self._step not in (_Step.PROPOSAL, _Step.PERSON) or self._person_agreed:
            raise LocalProtocolError("The person was not asked yet, or has answered already.")

    def _greet(self, frame: bytes) -> list[PairingEffect]:
        """Check who answered, prove the code in return, and introduce this device."""
        payload = self._handshake.read_message(frame)
        if len(payload) != REALM_ID_BYTES:
            raise RemoteProtocolError("The other device named no realm.")
        expected = self._code.sponsor_check
        if expected is not None and not compare_digest(expected, sponsor_check(self._sponsor_noise_key())):
            raise RemoteProtocolError("The device that answered is not the one that showed the code.")
        self._realm_id = RealmId(payload)
        proof = SendFrame(frame=self._handshake.write_message())
        self._transport = self._handshake.split()
        introduction = introduction_message(self._realm_id, self._handshake.handshake_hash, self._certificate)
        self._step = _Step.COMMITMENT
        return [proof, *self._seal(Introduce(self._certificate, sign(self._keys.sign_seed, introduction)))]

    def _show_digits(self, sponsor_nonce: bytes) -> list[PairingEffect]:
        channel = self._handshake.handshake_hash
        if not compare_digest(self._commitment, commitment(channel, sponsor_nonce)):
            raise RemoteProtocolError("The other device opened its commitment with another number; start anew.")
        digits = comparison_digits(
            channel, sponsor_nonce=sponsor_nonce, newcomer_nonce=self._nonce, certificate=self._certificate
        )
        self._step = _Step.PROPOSAL
        return [CompareDigits(digits=digits, certificate=self._certificate)]

    def _collect(self, statements: tuple[bytes, ...]) -> None:
        self._statements_bytes += sum(len(raw) for raw in statements)
        if self._statements_bytes > ROSTER_BYTES_MAX:
            raise RemoteProtocolError("The other device sent more roster statements than a realm can have.")
        self._statements.extend(statements)

    def _proposed(self, proposal: Propose) -> list[PairingEffect]:
        """Check that the Add admits exactly this device, by the owner of exactly the realm named in the handshake."""
        state = self._evaluate(self._statements)
        add = decode_body(proposal.add_body)
        if not isinstance(add, Add) or add.certificate != self._certificate:
            raise RemoteProtocolError("The other device proposed to add something else than this device.")
        if add.owner_public != state.owner_public:
            raise RemoteProtocolError("The proposal is not signed by the owner of this realm.")
        verify(state.owner_public, proposal.owner_signature, signed_message("add", self._realm_id, proposal.add_body))
        if add.sponsor != self._sponsor(state).device_id:
            raise RemoteProtocolError("The proposal names another sponsor than the device that is speaking.")
        self._proposal = proposal
        self._step = _Step.PERSON
        return self._countersign() if self._person_agreed else []

    def _countersign(self) -> list[PairingEffect]:
        proposal = self._proposal
        if proposal is None:
            raise LocalProtocolError("There is no proposal to sign yet.")
        signature = sign_body(self._keys.sign_seed, "add-device", self._realm_id, proposal.add_body)
        self._statements.append(assemble(proposal.add_body, (proposal.owner_signature, signature)))
        self._step = _Step.ADMISSION
        return self._seal(Countersign(signature))

    def _admitted(self, admission: Admit) -> list[PairingEffect]:
        """Check that this device belongs now, and can read and send under the epoch that came with it."""
        statements = (*self._statements, admission.epoch)
        state = self._evaluate(statements)
        secrets = open_epochs(state, self._keys.device_id, self._keys.seal_secret)
        epoch = sending_epoch(state, secrets)
        if self._keys.device_id not in state.active:
            raise RemoteProtocolError("The other device's roster does not admit this device.")
        if epoch is None:
            raise RemoteProtocolError("The other device sent a key epoch that this device cannot use.")
        joined = Joined(
            realm_id=self._realm_id,
            statements=statements,
            state=state,
            sponsor=self._sponsor(state),
            epoch=epoch,
            older_discovery_secrets=admission.discovery_secrets,
        )
        return [joined, *self._seal(Done())]

    def _evaluate(self, statements: tuple[bytes, ...] | list[bytes]) -> RosterState:
        """Return the roster that `statements` spell; an honest sponsor sends nothing that would be ignored."""
        state = evaluate(self._realm_id, statements)
        if state.ignored:
            raise RemoteProtocolError("The other device's roster has statements in it that do not hold.")
        return state

    def _sponsor(self, state: RosterState) -> Certificate:
        """Return the certificate of the device in this channel, which has to be an active one."""
        device_id = state.device_of_noise_key(self._sponsor_noise_key())
        if device_id is None or device_id not in state.active:
            raise RemoteProtocolError("The device that showed the code does not belong to the realm itself.")
        return state.certificate_by_device[device_id]

    def _sponsor_noise_key(self) -> bytes:
        key = self._handshake.remote_static
        if key is None:
            raise LocalProtocolError("The other device has not shown its key yet.")
        return key

    def _seal(self, *messages: Message) -> list[PairingEffect]:
        if self._transport is None:
            raise LocalProtocolError("There is no channel to the sponsor yet.")
        return [SendFrame(frame=self._transport.encrypt(encode_message(message))) for message in messages]

    def _open(self, frame: bytes, step: _Step) -> Message:
        if self._transport is None or step is _Step.OVER:
            raise RemoteProtocolError("The pairing is over.")
        return decode_message(self._transport.decrypt(frame))
