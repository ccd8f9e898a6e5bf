"""Examining a device's health: what was found, and the command that mends it."""

from typing import Literal

import msgspec

from node.requests.operation import Event, Request, Response, StreamOperation

#: `good`; `notice`: worth knowing, nothing is broken; `unknown`: could not be told; `bad`: somebody has to act.
State = Literal["good", "notice", "unknown", "bad"]


class DoctorRequest(Request, frozen=True, kw_only=True):
    """Examine this device.

    `scrub` reads every row; `repair` does so too and mends what it can without losing anything; `restamp` gives changes
    that were written while this device's clock was far ahead times of now; `listen` is an address that `run` is meant
    to listen on.
    """

    scrub: bool = False
    repair: bool = False
    restamp: bool = False
    listen: str = ""


class Finding(Response, frozen=True, kw_only=True):
    """One thing that was looked at: how it is in plain sentences, and unless it is well the command that mends it."""

    name: str
    state: State
    says: str
    mend: str = ""


class DoctorProgress(Event, frozen=True, kw_only=True, tag="progress"):
    """How far the scrub is, in rows and batches."""

    done: int
    total: int


class Examined(Event, frozen=True, kw_only=True, tag="examined"):
    """All that was found."""

    findings: list[Finding]

    @property
    def well(self) -> bool:
        """Whether nothing is broken."""
        return all(finding.state != "bad" for finding in self.findings)


DoctorEvent = DoctorProgress | Examined


DOCTOR: StreamOperation[DoctorRequest, DoctorEvent] = StreamOperation(
    "doctor", DoctorRequest, msgspec.json.Decoder(DoctorEvent)
)
