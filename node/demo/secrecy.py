"""Looks for readable memory where none may be: in the files of the homes and in what went over the network."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from node.demo.device import DemoError
from node.demo.findings import Unreadable


def search_for_phrases(phrases: Sequence[str], directories: Iterable[Path], traffic: Sequence[bytes]) -> Unreadable:
    """Look for every phrase, byte by byte; raises `DemoError` if one is readable somewhere."""
    needles = [phrase.encode() for phrase in phrases]
    files = [path for directory in directories for path in sorted(directory.rglob("*")) if path.is_file()]
    file_bytes = 0
    for path in files:
        content = path.read_bytes()
        file_bytes += len(content)
        if any(needle in content for needle in needles):
            raise DemoError(f"A sentence of the memory is readable in the file {path}.")
    if any(needle in carried for carried in traffic for needle in needles):
        raise DemoError("A sentence of the memory was readable on the network.")
    return Unreadable(
        phrases=len(phrases), files=len(files), file_bytes=file_bytes, network_bytes=sum(map(len, traffic))
    )
