"""The trusted device's side of `pair` in a running node: unlocks the owner key, shows a code, asks the person."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from ipaddress import ip_address

from node.errors import HostError, RefusedError
from node.keys.owner_key import unlock_owner_key
from node.pairing_call import PairingCall, PairingShown
from node.pairing_survey import readable
from node.repositories.values import instant_text
from node.requests import CodeShown, Delivered, Paired, PairEvent, TurnedAway
from node.service import Service
from node.transport.address import Address, plain_host
from node.transport.pairing_link import PairingLink
from sync.crypto import sign_keypair
from sync.pairing_code import CODE_SECRET_BYTES, make_code
from sync.pairing_window import WINDOW_SECONDS, PairingClosed, PairingWindow

# A new device connects at once to fetch everything; one that is away for this long does so when its node runs.
AWAY_SECONDS = 10.0
POLL_SECONDS = 0.02
LAST_WORD_SECONDS = 2.0


class PairingHost:
    """Lets one device at a time join.

    1. The owner's seed is held only while a window that the person opened with the owner's passphrase is open.
    2. A caller that has not proved the code learns nothing, and the person is not bothered with it.
    3. A caller from another network is not heard, unless the person said so.
    4. Nobody is admitted without the person's yes to the digits on this device.
    """

    def __init__(
        self,
        service: Service,
        *,
        hints: Callable[[], Sequence[str]],
        roster_changed: Callable[[], None],
        announce: Callable[[str | None], None],
    ) -> None:
        """`hints` gives the addresses that the code names; `roster_changed` is called once a device was admitted.

        `announce` takes the name under which this device is to be found while it shows a code, None afterwards.
        """
        self._service = service
        self._hints = hints
        self._roster_changed = roster_changed
        self._announce = announce
        self._busy = False
        self._shown: PairingShown | None = None

    async def pair(self, owner_passphrase: str, *, from_anywhere: bool = False) -> AsyncGenerator[PairEvent, None]:
        """Show a code and yield what happens, until a device was added and has fetched everything, or has gone.

        A caller in none of this device's networks is heard only with `from_anywhere`.

        Raises `RefusedError` when the window closes without one, `WrongPassphraseError`.
        """
        if self._busy:
            raise RefusedError("A pairing is going on already; finish it first.")
        self._busy = True
        paired: Paired | None = None
        try:
            shown = self._shown = await self._opened(owner_passphrase)
            shown.from_anywhere = from_anywhere
            self._announce(shown.code.rendezvous)
            expires_at = self._service.clock.now_milliseconds() + int(WINDOW_SECONDS * 1000)
            yield CodeShown(code=shown.code.scanned, typed=shown.code.typed, expires_at=instant_text(expires_at))
            while paired is None:
                outcome = await self._next_outcome(shown)
                if isinstance(outcome, HostError):
                    raise outcome
                yield outcome
                if isinstance(outcome, Paired):
                    paired = outcome
        finally:
            self._close()
        if (delivered := await self._delivery(paired)) is not None:
            yield delivered

    def answer(self, *, accept: bool) -> None:
        """Take the person's answer to the digits; raises `RefusedError` if nothing was asked."""
        answer = self._shown.answer if self._shown else None
        if answer is None or answer.done():
            raise RefusedError("No device is waiting for an answer.")
        answer.set_result(accept)

    async def serve(self, link: PairingLink) -> None:
        """Talk to one caller until the pairing or its link is over; without an open window, hang up."""
        shown = self._shown
        if shown is None:
            await link.close()
        elif not shown.from_anywhere and not is_near(link.peer_address):
            if not shown.turned_away:
                shown.turned_away = True
                shown.outcomes.put_nowait(TurnedAway(address=link.peer_address))
            await link.close()
        else:
            await PairingCall(self._service, shown, link, self._roster_changed).run()

    async def _opened(self, owner_passphrase: str) -> PairingShown:
        service = self._service
        # Argon2id takes seconds on purpose; it runs beside the event loop, which the peers need meanwhile.
        owner_seed = await asyncio.to_thread(
            unlock_owner_key,
            service.home.owner_key_file,
            passphrase=owner_passphrase,
            device_id=service.keys.device_id,
            master_key=service.keys.master_key,
        )
        if sign_keypair(owner_seed).public != service.membership.roster.owner_public:
            raise RefusedError("The owner key on this device was replaced; pair from a device that has the new one.")
        code = make_code(
            secret=service.entropy.take(CODE_SECRET_BYTES),
            sponsor_noise_public=service.keys.device_keys.public.noise,
            hints=self._hints(),
        )
        window = PairingWindow(opened_at=service.clock.monotonic_seconds())
        return PairingShown(code=code, window=window, owner_seed=owner_seed)

    async def _delivery(self, paired: Paired) -> Delivered | None:
        """Wait until the new device holds the same; None if it goes away before that."""
        clock, links = self._service.clock, self._service.links
        began_at = seen_at = clock.monotonic_seconds()
        while links is not None and clock.monotonic_seconds() - seen_at < AWAY_SECONDS:
            peer = next((peer for peer in links.peers() if peer.device_id.hex() == paired.device_id), None)
            if peer is not None and peer.connected:
                if peer.in_sync:
                    seconds = round(clock.monotonic_seconds() - began_at, 3)
                    return Delivered(name=paired.name, rows=readable(self._service).rows, seconds=seconds)
                seen_at = clock.monotonic_seconds()
            await asyncio.sleep(POLL_SECONDS)
        return None

    async def _next_outcome(self, shown: PairingShown) -> PairEvent | HostError:
        while True:
            now = self._service.clock.monotonic_seconds()
            try:
                shown.window.check_going_on(now)
            except PairingClosed as error:
                return await self._last_word(shown, error)
            try:
                async with asyncio.timeout(shown.window.ends_at - now):
                    return await shown.outcomes.get()
            except TimeoutError:
                continue  # The window grows when a caller proves the code: its end is asked for again.

    async def _last_word(self, shown: PairingShown, closed: PairingClosed) -> PairEvent | HostError:
        """Return what a call has to say first: it knows better why the window is closed."""
        try:
            async with asyncio.timeout(LAST_WORD_SECONDS if shown.claimed else 0.0):
                return await shown.outcomes.get()
        except TimeoutError:
            return RefusedError(str(closed)) if shown.outcomes.empty() else shown.outcomes.get_nowait()

    def _close(self) -> None:
        """End the showing: the code is worth nothing any more, and a caller who waits for an answer hears no."""
        shown, self._shown, self._busy = self._shown, None, False
        self._announce(None)
        if shown is not None:
            shown.window.close("The pairing was ended on this device.")
            if shown.answer is not None and not shown.answer.done():
                shown.answer.set_result(False)


def is_near(host: str) -> bool:
    """Tell whether an address is in a network that this device is on, its own loopback included."""
    # A look at the interfaces loads what only pairing and discovery need.
    from node.discovery.interfaces import interfaces, is_on_link

    bare = plain_host(host)
    # A socket names a caller of one link without its scope; nobody from further away can have such an address.
    return _is_link_local(bare) or is_on_link(Address(bare, 1), interfaces())


def _is_link_local(host: str) -> bool:
    try:
        return ip_address(host).is_link_local
    except ValueError:
        return False
