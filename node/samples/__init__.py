"""A conversation between two invented people, for the demonstration and for tests."""

from importlib.resources import files


def sample_conversation() -> bytes:
    """Return the bundled conversation, in the shape that the LoCoMo importer reads."""
    return files("node.samples").joinpath("conversation.json").read_bytes()
