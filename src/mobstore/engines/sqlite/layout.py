"""What a database file is made of, looked at before anything else in it is read.

A file that somebody sent may hold more than rows: views and generated columns that compute for
ever, triggers that change what is written, tables of a plugin. SQLite runs nothing of that before a
statement names it, so `sqlite_master` is read first and compared.

    found = entries(connection, path)  # of any file: what is there, each value checked
    check(found, path, statements)     # that it is what these statements make, and nothing else

`check` compares the text of SQL, exactly: of a file that mobstore made it is known. For a file that
another program made, compare what `entries` gave by other means; what SQLite made by itself is
`Entry.automatic`. Once no entry is a view or a virtual table, the columns of a table may be asked
for (`PRAGMA table_xinfo`), which runs nothing. Call both within one transaction. They raise
ReadFailedError in words, and `entries` also `sqlite3.Error` for what every statement may meet (a
lock, a damaged file).
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
_STEPS, _MOST_STEPS = 10**4, 6 * 10**4  # of SQLite's machine; it needs some fifty for each entry
_STATISTICS = {
    "sqlite_stat1": "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "sqlite_stat4": "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
}
"""Tables that ANALYZE makes; they tell SQLite which index to take."""

_SELECT = (
    "SELECT typeof(type) = 'text' AND typeof(name) = 'text' AND typeof(tbl_name) = 'text'"  # noqa: S608 - ours
    " AND typeof(rootpage) = 'integer' AND typeof(sql) IN ('text', 'null'),"
    f" type, name, tbl_name, rootpage, sql FROM sqlite_master LIMIT {_MOST + 1}"
)


class Entry(NamedTuple):
    """One entry of `sqlite_master`, whose values are of the types that SQLite writes.

    Attributes:
        type: "table" (also a virtual one, whose `root` is 0), "index", "view" or "trigger"; in a
            file that somebody forged, any text.
        name: its name.
        table: the table it is of; of a table, its own name.
        root: the page where it begins; 0 if it has none.
        sql: the text that made it; None if SQLite made it for a key.
    """

    type: str
    name: str
    table: str
    root: int
    sql: str | None

    @property
    def automatic(self) -> bool:
        """Whether SQLite made it: an index, for a key, or a table, of statistics by ANALYZE."""
        if self.type == "index":
            return self.sql is None
        statistics = self.type == "table" and self.name == self.table
        return statistics and _STATISTICS.get(self.name, "") == self.sql

    @property
    def virtual(self) -> bool:
        """Whether it is a virtual table: its rows are made by a program that its SQL names."""
        sql = self.sql or ""
        return self.type == "table" and sql[:20].upper() == "CREATE VIRTUAL TABLE"

    @property
    def shown(self) -> str:
        """Its kind and name for a message: short, all printable."""
        return f"{'virtual ' if self.virtual else ''}{brief(self.type)} {brief(self.name)}"


def entries(connection: sqlite3.Connection, path: Path) -> list[Entry]:
    """Read what a file is made of; a forged entry is refused.

    Raises:
        ReadFailedError: an entry is none that SQLite writes: of a wrong type, not UTF-8, without a
            page or with that of another one; or there are too many.
        sqlite3.Error: the file cannot be read.
    """
    steps = 0

    def too_many() -> bool:
        nonlocal steps
        steps += _STEPS
        return steps > _MOST_STEPS

    connection.set_progress_handler(too_many, _STEPS)
    try:
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()  # reads the list, too
        rows = connection.execute(_SELECT).fetchall() if encoding == "UTF-8" else []
    except UnicodeDecodeError:  # of the message in which SQLite repeats an entry
        raise _refusal(path, _NOT_UTF_8) from None
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:  # it is Python's, not SQLite's
            raise _refusal(path, _NOT_UTF_8) from error
        if code == sqlite3.SQLITE_INTERRUPT:
            raise _refusal(path, "the list of its tables is too long, or has no end") from error
        raise
    finally:
        connection.set_progress_handler(None, 0)
    if encoding != "UTF-8":
        raise _refusal(path, f"its text is kept as {encoding}, not as UTF-8")
    if len(rows) > _MOST:
        raise _refusal(path, f"it has more than {_MOST} tables and indexes")
    if not all(sound for sound, *_ in rows):
        raise _refusal(path, "an entry in the list of its tables is of a wrong type")
    found = [Entry._make(row[1:]) for row in rows]
    _check_roots(found, path)
    return found


def _check_roots(found: Sequence[Entry], path: Path) -> None:
    taken: dict[int, Entry] = {}
    for entry in found:
        if entry.type not in {"table", "index"} or entry.virtual:
            continue
        other = taken.setdefault(entry.root, entry)
        if entry.root <= 1:  # the first page is that of the list itself
            raise _refusal(path, f"its {entry.shown} has no page")
        if other is not entry:
            raise _refusal(path, f"its {entry.shown} lies where its {other.shown} does")


def check(found: Iterable[Entry], path: Path, statements: tuple[str, ...]) -> None:
    """Refuse a file that holds anything but what some statements make.

    Args:
        found: what `entries` has given.
        path: of the file, for messages.
        statements: that make its tables and indexes, as mobstore writes them.

    Raises:
        ReadFailedError: there is a difference.
    """
    what = difference(found, statements)
    if what:
        raise _refusal(path, what)


def difference(found: Iterable[Entry], statements: tuple[str, ...]) -> str:
    """What is not made by some statements, is made in another way, or is missing; else nothing."""
    expected = dict(made_by(statements))
    for entry in found:
        if entry.automatic and entry.type == "table":
            continue
        made = expected.pop((entry.type, entry.name), None)
        if made is None:
            return f"its {entry.shown} is not of mobstore"
        if made != (entry.table, entry.sql):
            return f"its {entry.shown} is made in another way than by mobstore"
    return next((f"its {type_} {name} is missing" for type_, name in expected), "")


@cache
def made_by(statements: tuple[str, ...]) -> dict[tuple[str, str], tuple[str, str | None]]:
    """What is in the list of tables once some statements were run, by type and name."""
    made: dict[tuple[str, str], tuple[str, str | None]] = {}
    for statement in statements:
        _, name, _, table, *_ = statement.split('"')
        if statement.startswith("CREATE INDEX"):
            made["index", name] = (table, statement)
            continue
        made["table", name] = (name, statement)
        _, _, key = statement[:-2].partition("PRIMARY KEY (")
        if f"{key} INTEGER" not in statement:  # such a key is the row's number, and needs no index
            made["index", f"sqlite_autoindex_{name}_1"] = (name, None)
    return made


def _refusal(path: Path, what: str) -> ReadFailedError:
    return ReadFailedError(
        f"{path} is not made as it should be: {what}. Nothing was read from it, because such a"
        " file can change what is read and written, or go on for ever; take another copy of it"
    )
