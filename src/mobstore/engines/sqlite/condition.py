"""The condition of an open file: corruption, a newer format, changed tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

from mobstore.engines.sqlite.connections import connect
from mobstore.engines.sqlite.layout import difference, entries
from mobstore.engines.sqlite.upgrade import statements
from mobstore.errors import ReadFailedError, WriteFailedError
from mobstore.scripts.tables import FORMAT

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_corruption(error: sqlite3.Error) -> bool:
    """Return whether an error means that the file or its log is corrupt or truncated."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _CORRUPT or code == sqlite3.SQLITE_IOERR_SHORT_READ


class Condition:
    """The condition of a store's file, as its connections on all threads have found it.

    Attributes:
        corrupt: whether a connection found corruption. A write would make it worse, and so would a
            copy of the log into the file: the older content may still be sound.
        format: the last known format of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.corrupt: bool = False
        self.format: int = FORMAT
        self._foreign = ""  # how its tables differ from those of mobstore
        self._seen: int = -1  # the last data and schema versions
        self._tables: int = -1

    def record(self, error: sqlite3.Error) -> None:
        """Record an error of a connection if it means corruption."""
        self.corrupt = self.corrupt or is_corruption(error)

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Read the format and the tables again if another connection has committed.

        If none has, this costs one statement. All calls must use the same connection.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        version = _number(connection, "data_version")
        if version == self._seen:
            return
        self.format = _number(connection, "user_version")
        tables = _number(connection, "schema_version")
        if self.format == FORMAT and tables != self._tables:
            try:
                found = entries(connection, self._path)
            except ReadFailedError:
                self._foreign = "SQLite cannot have written the list of its tables"
            else:
                self._foreign = difference(found, statements(FORMAT))
        self._seen, self._tables = version, tables

    def check(self, error: type[ReadFailedError | WriteFailedError]) -> None:
        """Raise if the file has another format or other tables, or is corrupt and would be written.

        Raises:
            ReadFailedError, WriteFailedError: the given class.
        """
        if self.format != FORMAT:
            raise error(
                f"{self._path} was upgraded by a newer mobstore while it was open: it has format"
                f" {self.format}, this mobstore knows {FORMAT}; update it and open the store again"
            )
        if self._foreign:
            raise error(
                f"{self._path} was changed by another program while it was open: {self._foreign}."
                " Nothing more is read or written; undo that change, and open the store again"
            )
        if self.corrupt and error is WriteFailedError:
            raise error(
                f"{self._path} was found corrupt while it was open; nothing more is written to it,"
                " nor copied into it from its log. Close all programs that use it, keep a copy of"
                f" it and of {self._path.name}-wal, then open it again and check it with `mobstore"
                " verify`, or restore a backup"
            )


@contextmanager
def preserved_log(path: Path) -> Generator[None]:
    """Keep the log of a file as it is while the last connections are closed.

    SQLite copies the log into the file when the last connection is closed, if it can lock the file
    exclusively. A second connection prevents that; closed last, it only reads and cannot copy.
    """
    keeper: closing[sqlite3.Connection] | nullcontext[None] = nullcontext()
    with suppress(sqlite3.Error, ReadFailedError):
        connection = connect(path, "ro")
        keeper = closing(connection)
        connection.execute("PRAGMA schema_version").fetchone()  # even a failed read keeps the lock
    with keeper:
        yield


def _number(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
