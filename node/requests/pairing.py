"""Letting a new device in."""

import msgspec

from node.requests.operation import Event, Operation, Request, Response, StreamOperation


class PairRequest(Request, frozen=True, kw_only=True):
    """Open a pairing window; the owner's passphrase signs the new device into the realm.

    `from_anywhere` lets a device in that is in none of this one's networks.
    """

    owner_passphrase: str
    from_anywhere: bool = False

    def __repr__(self) -> str:
        """Keep the passphrase out of logs and tracebacks."""
        return "PairRequest(owner_passphrase=<redacted>)"


class CodeShown(Event, frozen=True, kw_only=True, tag="code"):
    """The code to enter on the new device, as a QR text and in a form to type; valid once, until `expires_at`."""

    code: str
    typed: str
    expires_at: str


class Readable(msgspec.Struct, frozen=True, kw_only=True):
    """What a device that joins will be able to read; `rows` is all of it, `since` the earliest instant, if known."""

    conversations: int
    messages: int
    memories: int
    rows: int
    since: str | None


class ConfirmAsked(Event, frozen=True, kw_only=True, tag="confirm"):
    """A device asks to join: answer with `PAIR_ANSWER` after the person compared the six digits, until `expires_at`.

    `name_taken` says that another device has this name already.
    """

    name: str
    platform: str
    sas: str
    readable: Readable
    name_taken: bool
    expires_at: str


class TurnedAway(Event, frozen=True, kw_only=True, tag="turned_away"):
    """A device called from an address that is in no network of this one, and was not heard; told once for each code."""

    address: str


class Paired(Event, frozen=True, kw_only=True, tag="paired"):
    """The device belongs to the realm now, and begins to fetch `rows` rows."""

    device_id: str
    name: str
    rows: int


class Delivered(Event, frozen=True, kw_only=True, tag="delivered"):
    """The new device and this one provably hold the same rows."""

    name: str
    rows: int
    seconds: float


PairEvent = CodeShown | TurnedAway | ConfirmAsked | Paired | Delivered


class PairAnswerRequest(Request, frozen=True, kw_only=True):
    """The person's answer to the six digits."""

    accept: bool


class PairAnswered(Response, frozen=True, kw_only=True):
    """The answer was taken."""

    accepted: bool


PAIR_ANSWER = Operation("pair_answer", PairAnswerRequest, PairAnswered)
PAIR: StreamOperation[PairRequest, PairEvent] = StreamOperation("pair", PairRequest, msgspec.json.Decoder(PairEvent))
