"""What has become of a file while a store had it open: damage, a newer format, other tables."""

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

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite met bytes that it did not write, or that are gone: of the file or its log."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ


class Condition:
    """What the connections of one store, of any thread, have found out about its file.

    Attributes:
        damaged: whether one of them met damage. To write then would make it worse, and so would
            copying the log into the file: what had been there for long is perhaps still sound.
        format: the file's format, as far as it is known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged: bool = False
        self.format: int = FORMAT
        self._foreign = ""  # in which way its tables are not ours any more
        self._seen: int = -1  # the versions that were looked at
        self._tables: int = -1

    def note(self, error: sqlite3.Error) -> None:
        """Take note of what a connection met."""
        self.damaged = self.damaged or is_damage(error)

    def look(self, connection: sqlite3.Connection) -> None:
        """Find out what others have made of the file, if they have committed anything.

        As long as they have not, this costs one question. Always ask on the same connection.

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
                self._foreign = "the list of its tables is none that SQLite writes"
            else:
                self._foreign = difference(found, statements(FORMAT))
        self._seen, self._tables = version, tables

    def check(self, refusal: type[ReadFailedError | WriteFailedError]) -> None:
        """Refuse to write to a damaged file, and to use one of another format or other tables.

        Raises:
            ReadFailedError, WriteFailedError: whichever is given.
        """
        if self.format != FORMAT:
            raise refusal(
                f"{self._path} was upgraded by a newer mobstore while it was open: it has format"
                f" {self.format}, this mobstore knows {FORMAT}; update it and open the store again"
            )
        if self._foreign:
            raise refusal(
                f"{self._path} was changed by another program while it was open: {self._foreign}."
                " Nothing more is read or written; undo that, and open the store again"
            )
        if self.damaged and refusal is WriteFailedError:
            raise refusal(
                f"{self._path} was found damaged while it was open; nothing more is written to"
                " it, nor copied into it from its log. Close all that use it, put a copy of it and"
                f" of {self._path.name}-wal aside, then open it again and look with `mobstore"
                " verify`, or restore a backup"
            )


@contextmanager
def log_left_alone(path: Path) -> Generator[None]:
    """Within, closing a file's last connections does not copy its log into it.

    SQLite does that if it can lock the file for itself. It cannot while another connection shares
    the file; and that one, closed last, cannot either because it may only read.
    """
    keeper: closing[sqlite3.Connection] | nullcontext[None] = nullcontext()
    with suppress(sqlite3.Error, ReadFailedError):
        connection = connect(path, "ro")
        keeper = closing(connection)
        connection.execute("PRAGMA schema_version").fetchone()  # if it fails the lock is kept
    with keeper:
        yield


def _number(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
