"""Commands that work on many records at once: sql, import, export."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context, Option

from node.cli.invocation import Invocation, invocation_of
from node.cli.options import PassphraseFile
from node.errors import InputError, StorageError, UsageError

if TYPE_CHECKING:
    from node.requests import Caller


class ImportFormat(StrEnum):
    """The files that can be imported."""

    LOCOMO = "locomo"
    JSONL = "jsonl"


class ExportFormat(StrEnum):
    """The files that can be written."""

    JSONL = "jsonl"


def sql(
    context: Context,
    statement: Annotated[str, Argument(metavar="STATEMENT", help="One SELECT, INSERT, UPDATE, DELETE or WITH.")],
    param: Annotated[
        list[str] | None, Option("--param", metavar="JSON", help='A value for each ?, in order; bytes: {"$base64": …}.')
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Run one SQL statement on your tables; what it writes reaches all your devices."""
    from node.cli.rendering import render_sql
    from node.requests import SQL, SqlRequest

    invocation = invocation_of(context)
    request = SqlRequest(statement=statement, parameters=[_parameter(text) for text in param or []])
    result = invocation.perform(passphrase_file, lambda caller: caller.call(SQL, request))
    invocation.output.show(result, render_sql)


def import_file(
    context: Context,
    file_format: Annotated[
        ImportFormat, Argument(metavar="locomo|jsonl", help="What the file holds.", show_default=False)
    ],
    file: Annotated[Path, Argument(metavar="FILE", help="The file to read.", show_default=False)],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Import conversations or an export. Again changes nothing, and what you forgot stays forgotten."""
    invocation = invocation_of(context)
    path = file.expanduser().absolute()
    if not path.is_file():
        raise InputError(f"There is no file {path}; nothing was imported.")
    invocation.perform(
        passphrase_file, lambda caller: _import(invocation, caller, file_format=file_format.value, path=str(path))
    )


async def _import(invocation: Invocation, caller: "Caller", *, file_format: str, path: str) -> None:
    from node.cli.rendering import render_imported
    from node.requests import IMPORT, Imported, ImportProgress, ImportRequest

    async for event in caller.stream(IMPORT, ImportRequest(format=file_format, path=path)):
        match event:
            case ImportProgress():
                invocation.output.progress(event, label="Importing", done=event.done, total=event.total)
            case Imported():
                invocation.output.show(event, render_imported)


def export(
    context: Context,
    file_format: Annotated[ExportFormat, Option("--format", help="How to write it.")] = ExportFormat.JSONL,
    output: Annotated[
        Path | None, Option("--output", metavar="FILE", help="Where to write; standard output otherwise.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write out everything that is kept here, without loss and in plain text."""
    invocation = invocation_of(context)
    path = None if output is None else output.expanduser().absolute()
    invocation.perform(
        passphrase_file, lambda caller: _export(invocation, caller, file_format=file_format.value, path=path)
    )


async def _export(invocation: Invocation, caller: "Caller", *, file_format: str, path: Path | None) -> None:
    from node.cli.export_file import Exported, replaced_whole
    from node.cli.rendering import render_exported
    from node.requests import EXPORT, ExportRequest

    lines = caller.stream(EXPORT, ExportRequest(format=file_format))
    if path is None:
        async for event in lines:
            # Bytes, because text output may be re-encoded or stripped on its way, and an export is exact.
            sys.stdout.buffer.write(event.line.encode() + b"\n")
        return
    count = 0
    try:
        with replaced_whole(path) as file:
            async for event in lines:
                file.write(event.line.encode() + b"\n")
                count += 1
    except OSError as error:
        raise StorageError(f"The file {path} cannot be written: {error.strerror}.") from error
    invocation.output.show(Exported(path=str(path), lines=count), render_exported)


def _parameter(text: str) -> object:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise UsageError(
            f"--param {text} is not JSON; a text needs its quotes, for example --param '\"tea\"'."
        ) from None
