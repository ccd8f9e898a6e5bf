"""How a device is put together: make a home, open a home, reach whoever owns it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager

import msgspec

from node.config import NodeConfig
from node.requests import Caller
from node.service import Service

PassphraseSource = Callable[[], str]


class Initialised(msgspec.Struct, frozen=True, kw_only=True):
    """A new realm with its first device; the recovery code is shown once and kept nowhere."""

    device_id: str
    realm_id: str
    recovery_code: str


def init_home(config: NodeConfig, *, name: str, passphrase: str, owner_passphrase: str) -> Initialised: ...


def open_home(config: NodeConfig, *, passphrase: str) -> AbstractContextManager[Service]: ...


def reach(config: NodeConfig, *, passphrase: PassphraseSource) -> AbstractAsyncContextManager[Caller]: ...

