"""Makes room for rows of tables that only a newer version declares, so that they merge and travel on as any others.

Such a table gets a table of row states as every table has one, and a table of ids alone with a placeholder column;
all its cells lie in the row states as `unknown`. Nobody writes to it here. When this device is updated and a component
declares the table, `schema_registry` lays it out and `adoption` shows its rows. What must not be guessed is held back:
a strategy that is not known here, a name that SQL would not take, more tables than any version will ever have.
"""

import re
from collections.abc import Callable

from node.errors import ConstraintError, StorageError
from node.store.catalogue import Catalogue, NewerSchemaError, ReplicatedTable
from node.store.database import Database
from node.store.schema import Column, Table
from sync.errors import RemoteProtocolError
from sync.streams import Stream

FOREIGN_TABLES_MAX = 64
#: Stands in tables of which no column is known; no declared column begins with an underscore.
PLACEHOLDER = Column(name="_", type="BLOB", strategy="lww")
_NAME = re.compile(r"(?!sqlite_)[a-z][a-z0-9_]{0,62}")


class ForeignTables:
    """The tables of one store that its program does not know; they are in `catalogue.foreign`."""

    __slots__ = ("_catalogue", "_create", "_database")

    def __init__(
        self, database: Database, catalogue: Catalogue, create: Callable[[Database, ReplicatedTable], None]
    ) -> None:
        """Read which there are; `create` lays out a table within the open transaction."""
        self._database = database
        self._catalogue = catalogue
        self._create = create
        self.reload()

    def reload(self) -> None:
        """Read them again, after a rollback may have taken some back."""
        self._catalogue.foreign.clear()
        for name, stream in self._database.query("SELECT name, stream FROM _foreign"):
            self._catalogue.foreign[name] = _placeholder_table(name, Stream(stream))

    def meet(self, name: str, stream: Stream) -> ReplicatedTable:
        """Return the table `name` of which rows came in `stream`, made within the open transaction if it is new.

        Raises NewerSchemaError where no such table can be made, RemoteProtocolError where it is of another stream.
        """
        table = self._catalogue.find(name)
        if table is None:
            table = _placeholder_table(name, stream)
            self._make_room(table)
        if table.stream != stream:
            raise RemoteProtocolError(f"{name} came in a stream that it does not belong to")
        return table

    def _make_room(self, table: ReplicatedTable) -> None:
        taken = self._database.query("SELECT 1 FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table.name,))
        if taken or not _NAME.fullmatch(table.name) or len(self._catalogue.foreign) >= FOREIGN_TABLES_MAX:
            raise NewerSchemaError
        try:
            self._create(self._database, table)
        except (ConstraintError, StorageError) as error:
            # A word that SQL keeps for itself.
            raise NewerSchemaError from error
        self._database.change("INSERT INTO _foreign VALUES (?, ?)", (table.name, int(table.stream)))
        self._catalogue.foreign[table.name] = table


def _placeholder_table(name: str, stream: Stream) -> ReplicatedTable:
    return ReplicatedTable(Table(name=name, stream=stream, columns=(PLACEHOLDER,)))
