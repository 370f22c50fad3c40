"""Whether anybody uses a database file that is to be replaced."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mobstore.engines.sqlite.connections import connect, is_open
from mobstore.engines.sqlite.driver_errors import is_busy

_SIDE_FILES = ("-wal", "-shm", "-journal")


def in_use(path: Path) -> bool:
    """Whether a file is a database that anybody uses, as far as that can be known.

    It is if a log lies beside it, if this process has it open, by whatever name, or if SQLite
    gets no lock on it. A process that has it open without a log and is in no transaction leaves
    no trace; it finds out itself that its file has gone.

    Args:
        path: the file, resolved; it need not be there.

    Raises:
        OSError, ValueError: the system refuses the path.
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
    except sqlite3.Error as error:  # mostly: it is no database
        return is_busy(error)
    return False


def is_side_file(path: Path) -> bool:
    """Whether SQLite would take a file for what belongs to the file beside it.

    Upper case counts as well: there are systems to which it is the same.
    """
    return any(
        path.name.lower().endswith(suffix) and os.path.lexists(str(path)[: -len(suffix)])
        for suffix in _SIDE_FILES
    )
