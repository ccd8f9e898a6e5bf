"""A member of a realm with a protocol implementation of its own, at the other end of an honest session."""

from sync.channel import Channel
from sync.envelope import seal_envelope
from sync.messages import Hello, Message, State
from sync.session_handshake import SessionHandshake, SessionSecrets
from tests.support.memory_replica import MemoryReplica
from tests.support.realm_factory import NOW_MILLISECONDS, SeededEntropy, found_realm
from tests.support.session_pair import make_end

REALM = found_realm(devices=2, seed="hostile")


class HostileMember:
    """Device 1 with a protocol implementation of its own: it completes the handshake and then says what it likes."""

    def __init__(self) -> None:
        self.victim = make_end(REALM, 0, initiator=False, replica=MemoryReplica(REALM.devices[0].device_id))
        membership = make_end(REALM, 1, initiator=True).membership()
        assert membership.sending is not None
        self.epoch_key = membership.sending.key
        handshake = SessionHandshake(
            initiator=True,
            secrets=SessionSecrets(
                noise_secret=REALM.devices[1].noise_secret,
                ephemeral_secret=SeededEntropy("hostile").take(32),
                discovery_secrets=membership.discovery_secrets(),
            ),
        )
        self.victim.receive(handshake.start()[0])
        for frame in handshake.receive(self.victim.outbox.popleft()):
            self.victim.receive(frame)
        self.channel: Channel = handshake.channel()

    def say(self, message: Message) -> "HostileMember":
        for frame in self.channel.seal(message):
            self.victim.receive(frame)
        return self

    def greet(self) -> "HostileMember":
        """Speak properly until the session is open, as a peer that holds nothing."""
        self.say(Hello(version=1, now_milliseconds=NOW_MILLISECONDS, summary=bytes(32)))
        digest = self.victim.membership().roster.digest
        return self.say(State(roster_digest=digest, positions=[]))

    def envelope(self, *items: bytes, epoch_key: bytes | None = None, nonce: bytes = bytes(24)) -> bytes:
        return seal_envelope(
            realm_id=REALM.realm_id, epoch_key=epoch_key or self.epoch_key, nonce=nonce, items=list(items)
        )
