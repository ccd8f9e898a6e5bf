"""Commands that work on many records at once: sql, import, export."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context, Option

from node.cli.invocation import Invocation, invocation_of
from node.cli.options import PassphraseFile
from node.errors import InputError, StorageError, UsageError

if TYPE_CHECKING:
    from node.requests import Caller, ImportRequest


class ImportFormat(StrEnum):
    """The files that can be imported."""

    CHATGPT = "chatgpt"
    CLAUDE = "claude"
    CSV = "csv"
    JSONL = "jsonl"
    LOCOMO = "locomo"
    MARKDOWN = "markdown"
    MCP_MEMORY = "mcp-memory"
    MEM0 = "mem0"
    PAM = "pam"


class ExportFormat(StrEnum):
    """The files that can be written."""

    JSONL = "jsonl"
    MARKDOWN = "markdown"
    MCP_MEMORY = "mcp-memory"


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
    path: Annotated[
        Path,
        Argument(metavar="PATH", readable=False, help="The file, folder or zip archive to read.", show_default=False),
    ],
    file_format: Annotated[
        ImportFormat | None, Option("--format", help="What it holds; found out by its content otherwise.")
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Read and count everything, write nothing.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Import what other programs kept, or an export. Again changes nothing, and what you forgot stays forgotten."""
    from node.requests import ImportRequest

    invocation = invocation_of(context)
    absolute = path.expanduser().absolute()
    try:
        absolute.stat()
    except FileNotFoundError:
        raise InputError(f"There is no file {absolute}; nothing was imported.") from None
    except OSError as error:
        raise InputError(f"{absolute} cannot be read: {error.strerror}; nothing was imported.") from error
    request = ImportRequest(
        path=str(absolute), format=None if file_format is None else file_format.value, dry_run=dry_run
    )
    invocation.perform(
        passphrase_file,
        lambda caller: _import(invocation, caller, request),
        doing="Reading what the file holds",
        interrupted="Interrupted. What was imported so far stays; the same import again goes on from there.",
    )


async def _import(invocation: Invocation, caller: "Caller", request: "ImportRequest") -> None:
    from node.cli.rendering import render_imported
    from node.requests import IMPORT, Imported, ImportProgress

    async for event in caller.stream(IMPORT, request):
        match event:
            case ImportProgress():
                label = f"Importing, {event.rows_per_second:,.0f} rows/s"
                done, total = event.done, event.total
                if event.unit == "bytes":
                    # Nobody counts bytes; of a hundred parts everybody knows how many are left.
                    done, total = 100 * done // max(1, total), 100
                invocation.output.progress(event, label=label, done=done, total=total)
            case Imported():
                invocation.output.show(event, render_imported)


def export(
    context: Context,
    file_format: Annotated[ExportFormat, Option("--format", help="How to write it.")] = ExportFormat.JSONL,
    output: Annotated[
        Path | None,
        Option("--output", metavar="PATH", help="The file, for markdown the new folder; standard output otherwise."),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write out everything that is kept here, in plain text; as jsonl without loss."""
    invocation = invocation_of(context)
    path = None if output is None else output.expanduser().absolute()
    if path is None and file_format is ExportFormat.MARKDOWN:
        raise UsageError("Markdown is a folder of files; name a new one with --output.")
    invocation.perform(
        passphrase_file,
        lambda caller: _export(invocation, caller, file_format=file_format.value, path=path),
        doing="Exporting",
        interrupted="Interrupted. No file was written." if path else "Interrupted. The output is not whole.",
    )


async def _export(invocation: Invocation, caller: "Caller", *, file_format: str, path: Path | None) -> None:
    from node.cli.export_file import Exported, new_folder, replaced_whole
    from node.cli.rendering import render_exported
    from node.requests import EXPORT, ExportFile, ExportLine, ExportRequest

    events = caller.stream(EXPORT, ExportRequest(format=file_format))
    if path is None:
        async for event in events:
            if isinstance(event, ExportLine):
                # Bytes, because text output may be re-encoded or stripped on its way, and an export is exact.
                invocation.output.write(event.line.encode() + b"\n")
        return
    count = 0
    try:
        if file_format == ExportFormat.MARKDOWN:
            with new_folder(path) as folder:
                async for event in events:
                    if isinstance(event, ExportFile):
                        folder.write(event.path, event.text)
                        count += 1
        else:
            with replaced_whole(path) as file:
                async for event in events:
                    if isinstance(event, ExportLine):
                        file.write(event.line.encode() + b"\n")
                        count += 1
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}. Choose another --output.") from error
    invocation.output.show(Exported(path=str(path), lines=count), render_exported)


def _parameter(text: str) -> object:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise UsageError(
            f"--param {text} is not JSON; a text needs its quotes, for example --param '\"tea\"'."
        ) from None
