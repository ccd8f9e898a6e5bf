"""The key with which a service opens a device in its person's stead: random, apart from every passphrase, revocable.

It is written as text, so that it stands in a file where a passphrase could stand. Its own slot of the key file takes
it, and removing the slot makes every copy of it worthless; the passphrase itself, which often serves elsewhere too and
may be the owner's, is never written down.
"""

import base64

from node.entropy import Entropy

_PREFIX = "nuthatch-unlock-1:"
# Base32 without padding: 160 bits, far beyond guessing, so the slot needs no costly derivation.
_SECRET_BYTES = 20


def new_unlock_key(entropy: Entropy) -> str:
    """Return a fresh key."""
    return _PREFIX + base64.b32encode(entropy.take(_SECRET_BYTES)).decode().lower()


def is_unlock_key(text: str) -> bool:
    """Say whether a text was made by `new_unlock_key` rather than thought up by a person."""
    return text.startswith(_PREFIX)
