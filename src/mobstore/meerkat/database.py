"""Read-only access to databases of the reference."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mobstore.engines.sqlite.connections import find, resolve, unchanging
from mobstore.engines.sqlite.driver_errors import translate
from mobstore.errors import ReadFailedError, reason
from mobstore.meerkat.layout import Tables, check_tables, newer


def check_source(path: Path) -> None:
    """Check that a file has the tables of a database of meerkat-mob 0.5.1 or 0.5.2.

    Raises:
        ReadFailedError: the file cannot be read, is damaged, or is of another program.
        InternalError: the file was open when this process was forked.
    """
    with open_database(path):
        pass


@contextmanager
def open_database(path: Path) -> Generator[tuple[sqlite3.Connection, Tables]]:
    """Open a database of the reference in a read transaction.

    The file is not changed. Text that is not UTF-8 is read with lone surrogates in its place.

    Yields the connection and the names of the file's tables.

    Raises:
        ReadFailedError: the file cannot be read, is not a database of meerkat-mob, or was not in
            use at first and was written to during the block.
        InternalError: the file was open when this process was forked.
    """
    file = resolve(path)
    try:
        if find(file) is None:
            raise ReadFailedError(f"{path} is not a file; name a database of meerkat-mob")
        with unchanging(file) as connection:
            connection.execute("BEGIN")
            tables = _tables(connection, path)
            connection.text_factory = _text
            yield connection, tables
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_NOTADB:
            raise translate(error, path, writing=False) from error
        # It is not a database, so opening it otherwise breaks no lock of SQLite.
        if _begins_with(file, b"redb"):
            raise newer(path, "0.5.0", "it is a redb file") from error
        raise ReadFailedError(
            f"{path} is not a SQLite database; name one of meerkat-mob"
        ) from error


def _tables(connection: sqlite3.Connection, path: Path) -> Tables:
    try:
        return check_tables(connection, path)
    except UnicodeError as error:  # the message of a SQLite error quotes a name
        raise ReadFailedError(
            f"{path} is damaged: its list of tables is not UTF-8; restore a backup"
        ) from error


def _text(stored: bytes) -> str:
    return stored.decode(errors="surrogateescape")


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise ReadFailedError(f"{path} cannot be read: {reason(error)}") from error
