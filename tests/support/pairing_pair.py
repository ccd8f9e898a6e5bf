"""Runs the two sides of a pairing against each other, frame by frame, with a hook for somebody in the middle."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sync.effects import SendFrame
from sync.identity import DeviceKeys
from sync.pairing import PairingCode, PairingEffect, PairingNewcomer, PairingSponsor, PairingWindow, make_code
from tests.support.realm_factory import NOW_MILLISECONDS, FoundedRealm, SeededEntropy, device_keys

Hook = Callable[[str, bytes], bytes]


def pass_on(sender: str, frame: bytes) -> bytes:
    """Leave a frame as it is."""
    return frame


@dataclass(slots=True, kw_only=True)
class PairingPair:
    """Both sides, and what each asked of its program besides sending frames."""

    realm: FoundedRealm
    sponsor: PairingSponsor
    newcomer: PairingNewcomer
    newcomer_keys: DeviceKeys
    window: PairingWindow
    code: PairingCode
    now: float = 0.0
    sponsor_effects: list[PairingEffect] = field(default_factory=list)
    newcomer_effects: list[PairingEffect] = field(default_factory=list)
    hook: Hook = pass_on
    frames: int = 0

    def start(self) -> None:
        """Run until both people are asked."""
        self.to_sponsor(self.newcomer.start())

    def to_sponsor(self, effects: list[PairingEffect]) -> None:
        """Carry out the newcomer's effects and whatever follows from them."""
        for effect in effects:
            if isinstance(effect, SendFrame):
                self.frames += 1
                frame = self.hook("newcomer", effect.frame)
                self.to_newcomer(self.sponsor.receive(frame, now=self.now, now_milliseconds=NOW_MILLISECONDS))
            else:
                self.newcomer_effects.append(effect)

    def to_newcomer(self, effects: list[PairingEffect]) -> None:
        """Carry out the sponsor's effects and whatever follows from them."""
        for effect in effects:
            if isinstance(effect, SendFrame):
                self.frames += 1
                self.to_sponsor(self.newcomer.receive(self.hook("sponsor", effect.frame)))
            else:
                self.sponsor_effects.append(effect)

    def sponsor_accepts(self, owner_seed: bytes | None = None) -> None:
        """Let the sponsor's person say yes and unlock the owner key."""
        state = self.realm.state()
        self.to_newcomer(
            self.sponsor.accept(
                owner_seed=owner_seed or self.realm.owner_seed,
                state=state,
                epoch_entropy=self.realm.entropy.take(self.sponsor.epoch_entropy_bytes(state)),
                now=self.now,
                now_milliseconds=NOW_MILLISECONDS,
            )
        )

    def newcomer_accepts(self) -> None:
        """Let the newcomer's person say yes."""
        self.to_sponsor(self.newcomer.accept())


def make_sponsor(realm: FoundedRealm, code: PairingCode, window: PairingWindow, *, now: float = 0.0) -> PairingSponsor:
    """Return the sponsor's side of one more connection."""
    return PairingSponsor(
        keys=realm.devices[0],
        state=realm.state(),
        code=code,
        window=window,
        ephemeral_secret=realm.entropy.take(32),
        nonce=realm.entropy.take(32),
        now=now,
    )


def make_newcomer(code: PairingCode, entropy: SeededEntropy, keys: DeviceKeys | None = None) -> PairingNewcomer:
    """Return a newcomer that holds `code`."""
    return PairingNewcomer(
        code=code,
        keys=keys or device_keys(entropy),
        name="Grace's tablet",
        platform="linux",
        ephemeral_secret=entropy.take(32),
        nonce=entropy.take(32),
    )


def make_pair(realm: FoundedRealm, *, keys: DeviceKeys | None = None, hook: Hook = pass_on) -> PairingPair:
    """Return a sponsor and a newcomer that read its code."""
    code = make_code(secret=realm.entropy.take(16), sponsor_noise_public=realm.devices[0].public.noise)
    window = PairingWindow(opened_at=0.0)
    newcomer_keys = keys or device_keys(realm.entropy)
    return PairingPair(
        realm=realm,
        sponsor=make_sponsor(realm, code, window),
        newcomer=make_newcomer(code, realm.entropy, newcomer_keys),
        newcomer_keys=newcomer_keys,
        window=window,
        code=code,
        hook=hook,
    )
