"""Databases of the reference opened for reading, in a way that changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mobstore.engines.sqlite.connections import find, resolve, unchanging
from mobstore.engines.sqlite.driver_errors import translate
from mobstore.errors import ReadFailedError, reason
from mobstore.meerkat.layout import check_tables, newer


def check_source(path: Path) -> None:
    """Refuse what is no database of meerkat-mob 0.5.1 or 0.5.2, as far as its tables tell.

    Raises:
        ReadFailedError: the file cannot be read, is damaged, or of another release or program.
        InternalError: it was open when this process was forked.
    """
    with source(path):
        pass


@contextmanager
def source(path: Path) -> Generator[tuple[sqlite3.Connection, set[str]]]:
    """Open a file, whose tables are the reference's, for reading one state of it; give their names.

    Not one byte of it is changed. Text that is not UTF-8 is read with lone surrogates in its place.

    Raises:
        ReadFailedError: it cannot be read, is no database of meerkat-mob 0.5.1 or 0.5.2, or was
            written meanwhile although nobody used it at first.
        InternalError: it was open when this process was forked.
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
        # SQLite has said that nobody can have it open as a database.
        if _begins_with(file, b"redb"):
            raise newer(path, "0.5.0", "it is a redb file") from error
        raise ReadFailedError(
            f"{path} is not a SQLite database; name one of meerkat-mob"
        ) from error


def _tables(connection: sqlite3.Connection, path: Path) -> set[str]:
    try:
        return check_tables(connection, path)
    except UnicodeError as error:  # SQLite quotes a name in an error
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
