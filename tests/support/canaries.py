"""Looks for a secret in bytes, in every spelling in which a careless program would leave it."""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path


def spellings(secret: bytes) -> Mapping[str, bytes]:
    """Return the secret as it is, and in hexadecimal, base64 at each of its three alignments, and UTF-16."""
    found = {"raw": secret, "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    for offset in range(3):
        found[f"base64+{offset}"] = _base64_core(secret, offset)
        found[f"base64url+{offset}"] = found[f"base64+{offset}"].translate(bytes.maketrans(b"+/", b"-_"))
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return found
    return {**found, "UTF-16LE": text.encode("utf-16-le"), "UTF-16BE": text.encode("utf-16-be")}


def sightings(secrets: Mapping[str, bytes], contents: Mapping[str, bytes]) -> list[str]:
    """Return which secret is found where and in which spelling."""
    return [
        f"{name} as {spelling} in {place}"
        for name, secret in secrets.items()
        for spelling, needle in spellings(secret).items()
        for place, content in contents.items()
        if needle in content
    ]


def files_under(directories: Iterable[Path]) -> dict[str, bytes]:
    """Return the content of every file by its path, and every path itself: a name may tell a secret too."""
    paths = [path for directory in directories for path in sorted(directory.rglob("*"))]
    contents = {str(path): path.read_bytes() for path in paths if path.is_file()}
    return {**contents, "the paths": "\n".join(map(str, paths)).encode()}


def _base64_core(secret: bytes, offset: int) -> bytes:
    """Return the base64 characters that only the secret decides, when it begins `offset` bytes into a group."""
    encoded = base64.b64encode(b"\0" * offset + secret)
    bits = 8 * offset
    first = -(-bits // 6)
    last = (bits + 8 * len(secret)) // 6
    return encoded[first:last]
