"""The layout of a database file, checked before any row is read.

An untrusted file may hold more than rows: views and generated columns that compute for ever,
triggers that change what is written, virtual tables. SQLite runs none of these before a statement
names it, so `sqlite_master` is read first and compared.

    found = entries(connection, path)  # of any file: its entries, each value checked
    check(found, path, statements)     # that these statements create them, and no other

`check` compares the exact text of the SQL, which is known for files that mobstore created. A caller
that reads files of another program compares the entries in its own way; `Entry.automatic` are those
that SQLite created. If no entry is a view or a virtual table, `PRAGMA table_xinfo` is safe. Call
both within one transaction. Both raise ReadFailedError; `entries` also raises `sqlite3.Error`, as
every statement may (a lock, a corrupt file).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mobstore.errors import ReadFailedError
from mobstore.model.text import brief

_MOST = 1000  # entries
_NOT_UTF_8 = "an entry in the list of its tables is not UTF-8"
_STEPS, _MOST_STEPS = 10**4, 6 * 10**4  # of SQLite's virtual machine; an entry takes about fifty
_STATISTICS = {
    "sqlite_stat1": "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "sqlite_stat4": "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
}
"""Tables that ANALYZE creates; SQLite chooses indexes by them."""

_SELECT = (
    "SELECT typeof(type) = 'text' AND typeof(name) = 'text' AND typeof(tbl_name) = 'text'"  # noqa: S608 - constants
    " AND typeof(rootpage) = 'integer' AND typeof(sql) IN ('text', 'null'),"
    f" type, name, tbl_name, rootpage, sql FROM sqlite_master LIMIT {_MOST + 1}"
)


class Entry(NamedTuple):
    """One entry of `sqlite_master`, with values of the types that SQLite writes.

    Attributes:
        type: "table", "index", "view" or "trigger"; in a forged file, any text. A virtual table is
            a "table" with `root` 0.
        name: its name.
        table: the table that it belongs to; for a table, its own name.
        root: its first page; 0 if it has none.
        sql: the statement that created it; None if SQLite created it for a key.
    """

    type: str
    name: str
    table: str
    root: int
    sql: str | None

    @property
    def automatic(self) -> bool:
        """True if SQLite created it: an index for a key, or a table for statistics."""
        if self.type == "index":
            return self.sql is None
        statistics = self.type == "table" and self.name == self.table
        return statistics and _STATISTICS.get(self.name, "") == self.sql

    @property
    def virtual(self) -> bool:
        """True for a virtual table: a module that its SQL names computes the rows."""
        sql = self.sql or ""
        return self.type == "table" and sql[:20].upper() == "CREATE VIRTUAL TABLE"

    @property
    def label(self) -> str:
        """Its kind and name for a message, short and printable."""
        return f"{'virtual ' if self.virtual else ''}{brief(self.type)} {brief(self.name)}"


def entries(connection: sqlite3.Connection, path: Path) -> list[Entry]:
    """Read the entries of `sqlite_master`; reject forged ones.

    Raises:
        ReadFailedError: SQLite cannot have written an entry: it has a wrong type, is not UTF-8, has
            no page or that of another entry; or there are too many entries.
        sqlite3.Error: the file cannot be read.
    """
    steps = 0

    def too_many() -> bool:
        nonlocal steps
        steps += _STEPS
        return steps > _MOST_STEPS

    connection.set_progress_handler(too_many, _STEPS)
    try:
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()  # also reads the list
        rows = connection.execute(_SELECT).fetchall() if encoding == "UTF-8" else []
    except UnicodeDecodeError:  # SQLite's message repeats an entry
        raise _rejection(path, _NOT_UTF_8) from None
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:  # Python's own error
            raise _rejection(path, _NOT_UTF_8) from error
        if code == sqlite3.SQLITE_INTERRUPT:
            raise _rejection(path, "the list of its tables is too long, or has no end") from error
        raise
    finally:
        connection.set_progress_handler(None, 0)
    if encoding != "UTF-8":
        raise _rejection(path, f"its text is kept as {encoding}, not as UTF-8")
    if len(rows) > _MOST:
        raise _rejection(path, f"it has more than {_MOST} tables and indexes")
    if not all(sound for sound, *_ in rows):
        raise _rejection(path, "an entry in the list of its tables is of a wrong type")
    found = [Entry._make(row[1:]) for row in rows]
    _check_roots(found, path)
    return found


def _check_roots(found: Sequence[Entry], path: Path) -> None:
    taken: dict[int, Entry] = {}
    for entry in found:
        if entry.type not in {"table", "index"} or entry.virtual:
            continue
        other = taken.setdefault(entry.root, entry)
        if entry.root <= 1:  # the first page belongs to the list itself
            raise _rejection(path, f"its {entry.label} has no page")
        if other is not entry:
            raise _rejection(path, f"its {entry.label} has the page of its {other.label}")


def check(found: Iterable[Entry], path: Path, statements: tuple[str, ...]) -> None:
    """Raise unless a file has exactly the tables and indexes that statements create.

    Args:
        found: the result of `entries`.
        path: the file, for messages.
        statements: the statements of its format.

    Raises:
        ReadFailedError: there is a difference.
    """
    what = difference(found, statements)
    if what:
        raise _rejection(path, what)


def difference(found: Iterable[Entry], statements: tuple[str, ...]) -> str:
    """Describe the first difference from what statements create; empty if there is none."""
    expected = dict(made_by(statements))
    for entry in found:
        if entry.automatic and entry.type == "table":
            continue
        made = expected.pop((entry.type, entry.name), None)
        if made is None:
            return f"its {entry.label} is not part of mobstore"
        if made != (entry.table, entry.sql):
            return f"its {entry.label} differs from that of mobstore"
    return next((f"its {type_} {name} is missing" for type_, name in expected), "")


@cache
def made_by(statements: tuple[str, ...]) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return the entries that statements create, by type and name."""
    made: dict[tuple[str, str], tuple[str, str | None]] = {}
    for statement in statements:
        _, name, _, table, *_ = statement.split('"')
        if statement.startswith("CREATE INDEX"):
            made["index", name] = (table, statement)
            continue
        made["table", name] = (name, statement)
        _, _, key = statement[:-2].partition("PRIMARY KEY (")
        if f"{key} INTEGER" not in statement:  # such a key needs no index
            made["index", f"sqlite_autoindex_{name}_1"] = (name, None)
    return made


def _rejection(path: Path, what: str) -> ReadFailedError:
    return ReadFailedError(
        f"{path} does not have the layout of a store: {what}. No row was read, because such a file"
        " can change what is read and written, or compute for ever; use another copy of it"
    )
