"""The first three frames of a session: Noise XXpsk0, silent to whoever does not know the realm's discovery secret."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sync.channel import Channel
from sync.crypto import derive_key
from sync.errors import LocalProtocolError, Rejected
from sync.limits import DISCOVERY_SECRETS_MAX
from sync.messages import PROTOCOL_VERSION
from sync.noise import NoiseHandshake

_SUITE = 1
#: Binds the version and the one cipher suite: a peer of another version fails at its first frame.
PROLOGUE = b"nuthatch-sess/1" + bytes([PROTOCOL_VERSION, _SUITE])
# XXpsk0 with empty payloads: e + tag; e, es, s + tags; s + tags. Any other length is refused before any cryptography.
_FRAME_BYTES = (48, 96, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSecrets:
    """What one handshake needs; a fresh ephemeral secret for each, discovery secrets with the newest first.

    The initiator uses the first discovery secret; the responder tries at most DISCOVERY_SECRETS_MAX.
    """

    noise_secret: bytes = field(repr=False)
    ephemeral_secret: bytes = field(repr=False)
    discovery_secrets: Sequence[bytes] = field(repr=False)


def session_psk(discovery_secret: bytes) -> bytes:
    """Return the pre-shared key (32 bytes) of sessions under a realm's discovery secret."""
    return derive_key(discovery_secret, "session-psk")


class SessionHandshake:
    """One attempt. Payloads are empty, so nothing is said before both ends are proven."""

    def __init__(self, *, initiator: bool, secrets: SessionSecrets) -> None:
        if not secrets.discovery_secrets:
            raise LocalProtocolError("a session needs the discovery secret of a key epoch")
        self._initiator = initiator
        self._secrets = secrets
        self._noise = self._machine(secrets.discovery_secrets[0])
        self._frames_seen = 0

    def _machine(self, discovery_secret: bytes) -> NoiseHandshake:
        return NoiseHandshake(
            initiator=self._initiator,
            static_secret=self._secrets.noise_secret,
            ephemeral_secret=self._secrets.ephemeral_secret,
            psk=session_psk(discovery_secret),
            prologue=PROLOGUE,
        )

    def start(self) -> list[bytes]:
        """Return the initiator's first frame; nothing for the responder."""
        if not self._initiator:
            return []
        self._frames_seen = 1
        return [self._noise.write_message()]

    def receive(self, frame: bytes) -> list[bytes]:
        """Return the frames that answer `frame`. Raises Rejected."""
        if self._frames_seen >= len(_FRAME_BYTES) or len(frame) != _FRAME_BYTES[self._frames_seen]:
            raise Rejected
        if self._frames_seen == 0:
            self._find_discovery_secret(frame)
        else:
            self._noise.read_message(frame)
        self._frames_seen += 1
        if self._noise.done:
            return []
        self._frames_seen += 1
        return [self._noise.write_message()]

    def _find_discovery_secret(self, frame: bytes) -> None:
        for discovery_secret in self._secrets.discovery_secrets[:DISCOVERY_SECRETS_MAX]:
            machine = self._machine(discovery_secret)
            try:
                machine.read_message(frame)
            except Rejected:
                continue
            self._noise = machine
            return
        raise Rejected

    @property
    def done(self) -> bool:
        """Whether both ends are proven and a channel can be made."""
        return self._noise.done

    @property
    def remote_static(self) -> bytes:
        """The peer's Noise public key. Raises LocalProtocolError before the handshake is done."""
        if not self._noise.done or self._noise.remote_static is None:
            raise LocalProtocolError("the peer is known only after the handshake")
        return self._noise.remote_static

    def channel(self) -> Channel:
        """Return the encrypted channel that the handshake made."""
        return Channel(self._noise.split())
