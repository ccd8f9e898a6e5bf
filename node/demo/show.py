"""Runs the demonstration: makes the temporary homes, shows what is found, and takes the homes away."""

import asyncio
import secrets
import shutil
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from node.cli.output import Output
from node.demo.device import Device
from node.demo.findings import Agreement, Began, Finding, Finished, require_equal
from node.demo.screen import render_finding
from node.demo.story import Story
from node.errors import InputError
from node.home import write_private_file
from node.importers import importer_by_format
from node.importers.documents import document_of
from node.samples import sample_conversation
from node.schemas import CORE_COMPONENTS

# These homes live for seconds and guard nothing; a person's own are made with the costs of `node/config.py`.
_ENVIRONMENT = {"NUTHATCH_PASSPHRASE_COST": "interactive", "NUTHATCH_RUN_DISCOVERY": "false"}


def run_demo(output: Output, *, conversation: Path | None, keep: bool) -> None:
    """Run the demonstration; raises `HostError` if anything in it goes wrong, above all if digests differ."""
    if conversation is not None and not conversation.is_file():
        raise InputError(f"There is no file {conversation}; give --import a conversation in LoCoMo's format.")
    content = sample_conversation() if conversation is None else conversation.read_bytes()
    source = "conversation.json" if conversation is None else conversation.name
    # What is malformed is said before anything starts.
    importer_by_format(CORE_COMPONENTS)["locomo"].read(document_of(content, source))
    directory = Path(tempfile.mkdtemp(prefix="nuthatch-demo-"))
    try:
        asyncio.run(_show(output, directory, conversation=content, keep=keep))
    finally:
        output.close()
        if not keep:
            shutil.rmtree(directory)


async def _show(output: Output, directory: Path, *, conversation: bytes, keep: bool) -> None:
    began_at_seconds = time.monotonic()

    def tell(finding: Finding) -> None:
        output.show(finding, render_finding)

    tell(Began(directory=str(directory)))
    passphrase_file = directory / "passphrase"
    write_private_file(passphrase_file, secrets.token_urlsafe().encode())
    source = directory / "conversation.json"
    write_private_file(source, conversation)
    laptop, phone, tablet = (
        Device(name, directory / name, passphrase_file, _ENVIRONMENT) for name in ("laptop", "phone", "tablet")
    )
    story = Story(laptop, phone, tablet, working=output.working)
    async with aclosing(story.unfold(source)) as findings:
        async for finding in findings:
            tell(finding)
            if isinstance(finding, Agreement):
                require_equal(finding)
    tell(
        Finished(
            seconds=time.monotonic() - began_at_seconds,
            network_bytes=story.network_bytes,
            directory=str(directory),
            kept=keep,
        )
    )
