"""Texts of one place for tests: a plain one, and edits of it made apart."""

from hashlib import sha256

from crdt.identifiers import Origin, RowId, Stamp, make_stamp
from crdt.place import Place
from crdt.strategies import text
from crdt.strategies.text import Text
from crdt.text_change import TextChange
from crdt.text_chunk import MAGIC, write_chunk
from crdt.text_columns import unsigned

PLACE = Place("notes", RowId(bytes(range(16))), 1, "body")


def stamp(number: int, writer: int = 1) -> Stamp:
    return make_stamp(number << 16, Origin(bytes([writer]) * 40), number)


def edit(state: Text, value: str, number: int, writer: int = 1) -> Text:
    change = text.delta(state, value, stamp(number, writer), PLACE)
    assert change is not None
    return change


def merged(*states: Text) -> Text:
    whole = states[0]
    for state in states[1:]:
        whole = text.join(whole, state)
    return whole


def forged(change: TextChange) -> bytes:
    """Return the bytes of a change, whoever would make it."""
    return write_chunk(change).raw


def sealed(contents: bytes) -> bytes:
    """Return a chunk of these contents with the right length, hash and checksum."""
    whole = MAGIC + bytes(4) + b"\x01" + unsigned(len(contents)) + contents
    return MAGIC + sha256(whole[8:]).digest()[:4] + whole[8:]


OAK = text.plain_text("an oak by the pond", PLACE)
OLD = edit(OAK, "an old oak by the pond", 2, 1)
LAKE = edit(OAK, "an oak by the lake", 3, 2)
CHUNK = next(iter(OLD.chunks.values()))
