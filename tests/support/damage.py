"""Plants damage in a store behind the back of the program, as a disk, another program or a defect would."""

from collections.abc import Sequence
from pathlib import Path

from node.store.database import Database
from tests.support.realm import KEY

PAGE_BYTES = 4096


def tamper(path: Path, *statements: tuple[str, Sequence[object]] | str, key: bytes = KEY) -> None:
    """Run statements on a closed store: no trigger fires, no batch is signed, no hash follows."""
    database = Database(path, key)
    database.begin()
    for statement in statements:
        sql, parameters = (statement, ()) if isinstance(statement, str) else statement
        database.change(sql, parameters)
    database.commit()
    database.checkpoint()
    database.close()


def flip_bits(path: Path, page: int, *, at: int = 2000, mask: int = 0x10) -> None:
    """Flip bits of one byte in a page of a closed store's file."""
    with path.open("r+b") as file:
        file.seek(page * PAGE_BYTES + at)
        byte = file.read(1)[0]
        file.seek(page * PAGE_BYTES + at)
        file.write(bytes([byte ^ mask]))
