"""The conversations that end-to-end tests import: real ones where the machine has them, else the bundled sample."""

import os
from pathlib import Path

import msgspec

from node.samples import sample_conversation


def conversation_files(directory: Path) -> list[Path]:
    """Return every file of the folder that NUTHATCH_LOCOMO names, or the sample, written into `directory`."""
    folder = os.environ.get("NUTHATCH_LOCOMO")
    if folder:
        found = sorted(Path(folder).glob("*.json"))
        assert found, f"NUTHATCH_LOCOMO names {folder}, which holds no conversation."
        return found
    sample = directory / "sample.json"
    sample.write_bytes(sample_conversation())
    return [sample]


def turns_of(file: Path) -> int:
    """Count the turns of a conversation, without the importer that is under test."""
    conversation = msgspec.json.decode(file.read_bytes(), type=dict[str, object])
    conversation = _conversation(conversation)
    return sum(
        len(turns)
        for key, turns in conversation.items()
        if key.removeprefix("session_").isdecimal() and isinstance(turns, list)
    )


def _conversation(content: dict[str, object]) -> dict[str, object]:
    inner = content.get("conversation")
    return inner if isinstance(inner, dict) else content
