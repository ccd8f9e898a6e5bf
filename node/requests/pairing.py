"""Letting a new device in."""

import msgspec

from node.requests.operation import Event, Operation, Request, Response, StreamOperation


class PairRequest(Request, frozen=True, kw_only=True):
    """Open a pairing window; the owner's passphrase signs the new device into the realm."""

    owner_passphrase: str

    def __repr__(self) -> str:
        """Keep the passphrase out of logs and tracebacks."""
        return "PairRequest(owner_passphrase=<redacted>)"


class CodeShown(Event, frozen=True, kw_only=True, tag="code"):
    """The code to enter on the new device, as a QR text and in a form to type; valid once, until `expires_at`."""

    code: str
    typed: str
    expires_at: str


class ConfirmAsked(Event, frozen=True, kw_only=True, tag="confirm"):
    """A device asks to join: answer with `PAIR_ANSWER` after the person compared the six digits."""

    name: str
    platform: str
    sas: str


class Paired(Event, frozen=True, kw_only=True, tag="paired"):
    """The device belongs to the realm now."""

    device_id: str
    name: str


PairEvent = CodeShown | ConfirmAsked | Paired


class PairAnswerRequest(Request, frozen=True, kw_only=True):
    """The person's answer to the six digits."""

    accept: bool


class PairAnswered(Response, frozen=True, kw_only=True):
    """The answer was taken."""

    accepted: bool


PAIR_ANSWER = Operation("pair_answer", PairAnswerRequest, PairAnswered)
PAIR: StreamOperation[PairRequest, PairEvent] = StreamOperation("pair", PairRequest, msgspec.json.Decoder(PairEvent))
