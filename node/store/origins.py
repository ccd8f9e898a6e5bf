"""Short local numbers for origins, so that a row state does not repeat 40 bytes."""

from crdt.identifiers import Origin
from node.store.database import Database


class Origins:
    """The numbers of all origins that this store has met; grows within transactions, survives their rollback."""

    __slots__ = ("_database", "_number_by_origin", "_origin_by_number")

    def __init__(self, database: Database) -> None:
        """Read all numbers given so far."""
        self._database = database
        self._number_by_origin: dict[Origin, int] = {}
        self._origin_by_number: dict[int, Origin] = {}
        self.reload()

    def reload(self) -> None:
        """Read the numbers again, after a rollback may have taken some back."""
        rows = self._database.query("SELECT number, origin FROM _origin")
        self._origin_by_number = {number: Origin(origin) for number, origin in rows}
        self._number_by_origin = {origin: number for number, origin in self._origin_by_number.items()}

    def number(self, origin: Origin) -> int:
        """Return the number of `origin`, giving it one within the open transaction if it has none."""
        if origin not in self._number_by_origin:
            number = len(self._origin_by_number) + 1
            self._database.change("INSERT INTO _origin VALUES (?, ?)", (number, origin))
            self._number_by_origin[origin] = number
            self._origin_by_number[number] = origin
        return self._number_by_origin[origin]

    def number_if_known(self, origin: Origin) -> int | None:
        """Return the number of `origin`, None where it has none."""
        return self._number_by_origin.get(origin)

    def origin(self, number: int) -> Origin:
        """Return the origin that `number` stands for."""
        return self._origin_by_number[number]
