"""One caller of a pairing on the trusted device: carries frames and the person's answer in, and effects out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from node.errors import HostError, RefusedError, TransportError
from node.pairing_survey import readable
from node.repositories.values import instant_text
from node.requests import ConfirmAsked, Paired, PairEvent
from node.service import Service
from node.transport.pairing_link import PairingLink
from sync.crypto import KEY_BYTES
from sync.effects import SendFrame
from sync.errors import LocalProtocolError, ProtocolError
from sync.identity import Certificate
from sync.limits import HANDSHAKE_SECONDS
from sync.pairing_code import PairingCode
from sync.pairing_effects import Cancelled, CompareDigits, Joined, PairingEffect, StoreStatements
from sync.pairing_effects import Paired as NewcomerStored
from sync.pairing_sponsor import PairingSponsor
from sync.pairing_window import PairingClosed, PairingWindow

NOBODY_HERE = (
    "Nobody answered here within five minutes, so nothing was changed on either device. "
    "Run `nuthatch pair` again for a new code."
)
NOBODY_THERE = (
    "Nobody said yes on the new device within five minutes, so nothing was changed on either device. "
    "Run `nuthatch pair` again for a new code."
)
# Frames of the Noise handshake that come from the caller; before the second one it has proved nothing.
_HANDSHAKE_FRAMES = 2


@dataclass(slots=True, kw_only=True)
class PairingShown:
    """One showing of one code, from the owner's passphrase to the end of the window.

    `from_anywhere`: callers in other networks are heard as well; `turned_away`: one was not, and the person knows.
    `claimed`: a call proved the code, and has the last word. `answer` waits for the person from the moment they were
    asked; `outcomes` is what they are to hear.
    """

    code: PairingCode
    window: PairingWindow
    owner_seed: bytes = field(repr=False)
    outcomes: "asyncio.Queue[PairEvent | HostError]" = field(default_factory=asyncio.Queue)
    from_anywhere: bool = False
    turned_away: bool = False
    claimed: bool = False
    answer: "asyncio.Future[bool] | None" = None


class PairingCall:
    """The life of one connection. Until the caller has proved the code it is bounded in time and the person hears
    nothing of it.
    """

    def __init__(
        self, service: Service, shown: PairingShown, link: PairingLink, roster_changed: Callable[[], None]
    ) -> None:
        """`roster_changed` is called once the newcomer's admission is stored."""
        self._service = service
        self._shown = shown
        self._link = link
        self._roster_changed = roster_changed
        self._receiving: asyncio.Task[bytes | None] | None = None
        self._answer: asyncio.Future[bool] | None = None
        self._frames = 0
        self._stored = False

    async def run(self) -> None:
        """Talk until the pairing or the link is over; what the person must hear becomes an outcome."""
        try:
            await self._talk()
        except (ProtocolError, TransportError) as error:
            outcome = self._failure(error)
            if outcome is not None:
                self._shown.outcomes.put_nowait(outcome)
        finally:
            if self._receiving is not None:
                self._receiving.cancel()
            await self._link.close()

    async def _talk(self) -> None:
        sponsor = PairingSponsor(
            keys=self._service.keys.device_keys,
            state=self._service.membership.roster,
            code=self._shown.code,
            window=self._shown.window,
            ephemeral_secret=self._service.entropy.take(KEY_BYTES),
            nonce=self._service.entropy.take(KEY_BYTES),
            now=self._now(),
        )
        try:
            while not sponsor.over:
                for effect in await self._next_effects(sponsor):
                    await self._perform(effect)
        finally:
            sponsor.link_lost()

    async def _next_effects(self, sponsor: PairingSponsor) -> list[PairingEffect]:
        """Wait for the other device and, once the person was asked, for the answer; whichever comes first counts."""
        receiving = self._receiving = self._receiving or asyncio.ensure_future(self._link.receive())
        waited: list[asyncio.Future[bytes | None] | asyncio.Future[bool]] = [receiving]
        if self._answer is not None:
            waited.append(self._answer)
        await asyncio.wait(waited, timeout=self._patience_seconds(), return_when=asyncio.FIRST_COMPLETED)
        if self._answer is not None and self._answer.done():
            answer, self._answer = self._answer, None
            return self._answered(sponsor, accept=answer.result())
        if not receiving.done():
            return self._too_late(sponsor)
        self._receiving = None
        frame = receiving.result()
        if frame is None:
            raise TransportError("The other device hung up before the pairing was complete; nothing was changed.")
        self._frames += 1
        effects = sponsor.receive(frame, now=self._now(), now_milliseconds=self._service.clock.now_milliseconds())
        if self._frames == _HANDSHAKE_FRAMES:
            self._link.proven()
            self._shown.claimed = True
        return effects

    def _too_late(self, sponsor: PairingSponsor) -> list[PairingEffect]:
        if self._frames < _HANDSHAKE_FRAMES:
            raise TransportError("The other device took too long.")
        here = self._answer is not None
        self._shown.outcomes.put_nowait(RefusedError(NOBODY_HERE if here else NOBODY_THERE))
        return sponsor.give_up()

    def _answered(self, sponsor: PairingSponsor, *, accept: bool) -> list[PairingEffect]:
        if not accept:
            self._shown.outcomes.put_nowait(RefusedError("You said no. Nothing was changed on either device."))
            return sponsor.refuse()
        state = self._service.membership.roster
        return sponsor.accept(
            owner_seed=self._shown.owner_seed,
            state=state,
            epoch_entropy=self._service.entropy.take(sponsor.epoch_entropy_bytes(state)),
            now=self._now(),
            now_milliseconds=self._service.clock.now_milliseconds(),
        )

    async def _perform(self, effect: PairingEffect) -> None:
        outcomes = self._shown.outcomes
        match effect:
            case SendFrame():
                await self._link.send(effect.frame)
            case CompareDigits(digits=digits, certificate=certificate):
                self._answer = self._shown.answer = asyncio.get_running_loop().create_future()
                outcomes.put_nowait(self._question(digits, certificate))
            case StoreStatements():
                self._service.store.add_statements(effect.statements)
                self._stored = True
                self._roster_changed()
            case NewcomerStored():
                rows = readable(self._service).rows
                outcomes.put_nowait(Paired(device_id=effect.device_id.hex(), name=effect.certificate.name, rows=rows))
            case Cancelled():
                outcomes.put_nowait(
                    RefusedError("The answer on the new device was no. Nothing was changed on either device.")
                )
            case Joined():
                raise LocalProtocolError("A sponsor does not join.")

    def _question(self, digits: str, certificate: Certificate) -> ConfirmAsked:
        roster = self._service.membership.roster
        names = {roster.certificate_by_device[device].name for device in roster.active - {certificate.device_id}}
        left_seconds = max(self._shown.window.ends_at - self._now(), 0.0)
        return ConfirmAsked(
            name=certificate.name,
            platform=certificate.platform,
            sas=digits,
            readable=readable(self._service),
            name_taken=certificate.name.casefold() in {name.casefold() for name in names},
            expires_at=instant_text(self._service.clock.now_milliseconds() + int(left_seconds * 1000)),
        )

    def _failure(self, error: ProtocolError | TransportError) -> HostError | None:
        """Return what the person must hear of a failed call; None if another caller can still use the code."""
        if self._stored:
            return TransportError(
                "The new device was added, but it hung up before it confirmed. If it shows an error, "
                "join again there with a new code."
            )
        if self._frames >= _HANDSHAKE_FRAMES:
            return RefusedError(str(error))
        try:
            self._shown.window.check_going_on(self._now())
        except PairingClosed as closed:
            return RefusedError(str(closed))
        return None

    def _patience_seconds(self) -> float:
        left = max(self._shown.window.ends_at - self._now(), 0.0)
        return min(left, HANDSHAKE_SECONDS) if self._frames < _HANDSHAKE_FRAMES else left

    def _now(self) -> float:
        return self._service.clock.monotonic_seconds()
