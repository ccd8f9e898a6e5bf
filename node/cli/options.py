"""The options that several commands share, described once."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

PassphraseFile = Annotated[
    Path | None,
    Option(
        "--passphrase-file",
        metavar="FILE",
        readable=False,
        help="First line is the passphrase; - reads standard input.",
    ),
]
OwnerPassphraseFile = Annotated[
    Path | None,
    Option("--owner-passphrase-file", metavar="FILE", readable=False, help="First line is the owner's passphrase."),
]
DeviceName = Annotated[
    str | None,
    Option(
        "--name",
        metavar="NAME",
        help="What this device is called on the others; asked for if it is left out, else the machine's own name.",
        show_default=False,
    ),
]
Peers = Annotated[
    list[str] | None,
    Option("--peer", metavar="HOST:PORT", help="Where another device listens; may be given several times."),
]
RecordId = Annotated[
    str,
    Argument(
        metavar="ID", help="The record's id, as list and recall show it; its first digits suffice.", show_default=False
    ),
]
Namespace = Annotated[str | None, Option("--namespace", metavar="NAME", help="The group that a memory belongs to.")]
