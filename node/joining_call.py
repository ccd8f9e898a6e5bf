"""The newcomer's connection to the device that shows the code: carries frames and the person's answer, step by step."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from node.errors import RefusedError, TransportError
from node.transport.pairing_link import PairingLink
from sync.effects import SendFrame
from sync.errors import RemoteProtocolError
from sync.limits import HANDSHAKE_SECONDS
from sync.pairing_effects import Cancelled, CompareDigits, Joined, PairingEffect
from sync.pairing_messages import CancelReason
from sync.pairing_newcomer import PairingNewcomer
from sync.pairing_window import CONFIRMATION_SECONDS

# Who shows a code says nothing to somebody who does not know it, so the reasons cannot be told apart from here.
NOT_TAKEN = (
    "The code was not accepted: its five minutes are over, it was used already, or another device shows another code. "
    "Run `nuthatch pair` on the other device for a new one."
)
NOBODY_THERE = (
    "Nobody said yes on the other device within five minutes, so nothing was changed on either device. "
    "Run `nuthatch pair` there for a new code."
)
TOO_LATE = (
    "The five minutes to answer are over, so nothing was changed on either device. "
    "Run `nuthatch pair` on the other device for a new code."
)
TOO_LONG = "The other device began to answer and then took too long; run `nuthatch pair` there for a new code."


class CodeNotTakenError(TransportError):
    """The device at an address did not take the code, or is not the one that shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """This device was admitted: everything in `joined` must be stored before the farewell tells the sponsor."""

    joined: Joined
    farewell: tuple[bytes, ...] = field(repr=False)


class JoiningCall:
    """One attempt to join over one link: first the digits, then, with the person's answer, the admission."""

    def __init__(self, newcomer: PairingNewcomer, link: PairingLink) -> None:
        self._newcomer = newcomer
        self._link = link
        self._receiving: asyncio.Future[bytes | None] | None = None
        self._answered = False

    async def digits(self) -> str:
        """Return the six digits to compare.

        Raises `CodeNotTakenError` if the device does not take the code, `RefusedError`, `TransportError`.
        """
        effects = self._newcomer.start()
        while True:
            for effect in effects:
                if isinstance(effect, CompareDigits):
                    return effect.digits
                await self._perform(effect)
            effects = await self._received(HANDSHAKE_SECONDS, TOO_LONG)

    async def admission(self, confirmed: Awaitable[bool]) -> Admission:
        """Return the admission, once both persons said yes; raises `RefusedError`, `TransportError`."""
        confirming: asyncio.Future[bool] | None = asyncio.ensure_future(confirmed)
        try:
            while True:
                if confirming is not None and await self._first(confirming):
                    effects = await self._decided(accept=confirming.result())
                    confirming = None
                else:
                    effects = await self._received(CONFIRMATION_SECONDS, NOBODY_THERE)
                for position, effect in enumerate(effects):
                    if isinstance(effect, Joined):
                        return Admission(joined=effect, farewell=_frames(effects[position + 1 :]))
                    await self._perform(effect)
        finally:
            if confirming is not None:
                confirming.cancel()
            if self._receiving is not None:
                self._receiving.cancel()

    async def bid_farewell(self, admission: Admission) -> None:
        """Tell the sponsor that everything is stored."""
        for frame in admission.farewell:
            await self._link.send(frame)

    async def _decided(self, *, accept: bool) -> list[PairingEffect]:
        if accept:
            return self._newcomer.accept()
        for effect in self._newcomer.refuse():
            await self._perform(effect)
        raise RefusedError("You said no. Nothing was changed on either device.")

    async def _first(self, confirming: "asyncio.Future[bool]") -> bool:
        """Wait for the person or the other device; return whether the person was first."""
        waited: list[asyncio.Future[bool] | asyncio.Future[bytes | None]] = [confirming, self._next_frame()]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        return confirming.done()

    def _next_frame(self) -> "asyncio.Future[bytes | None]":
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._link.receive())
        return self._receiving

    async def _received(self, patience_seconds: float, else_say: str) -> list[PairingEffect]:
        receiving = self._next_frame()
        await asyncio.wait([receiving], timeout=patience_seconds)
        if not receiving.done():
            raise TransportError(else_say)
        self._receiving = None
        frame = receiving.result()
        if frame is None:
            raise self._hung_up()
        try:
            effects = self._newcomer.receive(frame)
        except RemoteProtocolError as error:
            raise (RefusedError(str(error)) if self._answered else CodeNotTakenError(str(error))) from error
        self._answered = True
        return effects

    def _hung_up(self) -> TransportError | RefusedError:
        if not self._answered:
            return CodeNotTakenError(NOT_TAKEN)
        return RefusedError(
            "The other device ended the pairing; its screen says why. Nothing was changed here. "
            "Run `nuthatch pair` there for a new code."
        )

    async def _perform(self, effect: PairingEffect) -> None:
        match effect:
            case SendFrame(frame=frame):
                await self._link.send(frame)
            case Cancelled(reason=CancelReason.WINDOW_CLOSED):
                raise RefusedError(TOO_LATE)
            case Cancelled():
                raise RefusedError("The answer on the other device was no. Nothing was changed on either device.")
            case _:
                raise AssertionError(f"a newcomer is not asked for {type(effect).__name__}")


def _frames(effects: Sequence[PairingEffect]) -> tuple[bytes, ...]:
    return tuple(effect.frame for effect in effects if isinstance(effect, SendFrame))
