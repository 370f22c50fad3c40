"""Use of a database file by any process, before it is replaced."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mobstore.engines.sqlite.connections import connect, is_open
from mobstore.engines.sqlite.driver_errors import is_busy

_SIDE_FILES = ("-wal", "-shm", "-journal")


def in_use(path: Path) -> bool:
    """Return whether a file is a database in use, as far as that can be known.

    A file is in use if it has a log, if this process has it open under any name, or if SQLite
    cannot lock it. A process that has the file open without a log, and outside a transaction,
    leaves no trace; that process finds that its file is gone.

    Args:
        path: the file, resolved; it may be missing.

    Raises:
        OSError, ValueError: the system rejects the path.
    """
    if any(os.path.lexists(f"{path}{suffix}") for suffix in _SIDE_FILES):
        return True
    try:
        if is_open(path.stat()):
            return True
    except FileNotFoundError:
        return False
    try:
        with closing(connect(path, "rw")) as connection:
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:  # mostly because it is not a database
        return is_busy(error)
    return False


def is_side_file(path: Path) -> bool:
    """Return whether SQLite would take a file for a side file of another file.

    Upper case counts as well: some file systems ignore case.
    """
    return any(
        path.name.lower().endswith(suffix) and os.path.lexists(str(path)[: -len(suffix)])
        for suffix in _SIDE_FILES
    )
