"""What the demonstration shows, as values: a program reads them as JSON lines, a person sees them drawn."""

from collections.abc import Mapping, Sequence

import msgspec

from node.demo.device import DemoError
from node.requests import StreamReport


class _Finding(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """One thing that happened or was found."""


class Began(_Finding, frozen=True, kw_only=True, tag="began"):
    """The demonstration starts; its homes and logs lie under `directory`."""

    directory: str


class Step(_Finding, frozen=True, kw_only=True, tag="step"):
    """A step succeeded; `network_bytes` were carried between the devices meanwhile, both ways together."""

    title: str
    detail: str
    seconds: float
    network_bytes: int = 0


class DevicePaired(_Finding, frozen=True, kw_only=True, tag="paired"):
    """A device joined: the program read these six digits on both sides and found them equal."""

    name: str
    sas: str
    rows: int
    seconds: float
    network_bytes: int


class Apart(_Finding, frozen=True, kw_only=True, tag="apart"):
    """What each device did to the same records while it saw no other: what it did, by device and by what was edited."""

    deeds_by_device: dict[str, dict[str, str]]
    seconds: float


class Together(_Finding, frozen=True, kw_only=True, tag="together"):
    """What all devices hold of these records now, read on each of them and found equal, by what was edited."""

    outcome: dict[str, str]


class StreamAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a stream and its digest on each device."""

    name: str
    rows_by_device: dict[str, int]
    digest_by_device: dict[str, str]

    @property
    def equal(self) -> bool:
        """Say whether every device has the same rows and the same digest."""
        return len(set(self.digest_by_device.values())) == 1 and len(set(self.rows_by_device.values())) == 1


class Agreement(_Finding, frozen=True, kw_only=True, tag="agreement"):
    """The digests of all streams on all devices."""

    streams: list[StreamAgreement]
    equal: bool


class Unreadable(_Finding, frozen=True, kw_only=True, tag="unreadable"):
    """Sentences of the memory were looked for, byte by byte, in every file of the homes and in all network traffic."""

    phrases: int
    files: int
    file_bytes: int
    network_bytes: int


class Finished(_Finding, frozen=True, kw_only=True, tag="finished"):
    """The end: `kept` says whether the homes are still there."""

    seconds: float
    network_bytes: int
    directory: str
    kept: bool


Finding = Began | Step | DevicePaired | Apart | Together | Agreement | Unreadable | Finished


def compare_streams(streams_by_device: Mapping[str, Sequence[StreamReport]]) -> Agreement:
    """Put the digests of every stream that any device reports side by side; a stream that one lacks is not equal."""
    names = dict.fromkeys(stream.name for streams in streams_by_device.values() for stream in streams)
    report_by_stream_by_device = {
        device: {stream.name: stream for stream in streams} for device, streams in streams_by_device.items()
    }
    compared = [
        StreamAgreement(
            name=name,
            rows_by_device={device: _rows(found.get(name)) for device, found in report_by_stream_by_device.items()},
            digest_by_device={device: _digest(found.get(name)) for device, found in report_by_stream_by_device.items()},
        )
        for name in names
    ]
    return Agreement(streams=compared, equal=bool(compared) and all(stream.equal for stream in compared))


def require_equal(agreement: Agreement) -> None:
    """Raise `DemoError` unless the devices agree."""
    if not agreement.equal:
        raise DemoError("The digests differ: the devices do not hold the same. This is a defect of Nuthatch.")


def _rows(report: StreamReport | None) -> int:
    return 0 if report is None else report.rows


def _digest(report: StreamReport | None) -> str:
    return "" if report is None else report.digest
