"""Translation of the driver's errors."""

from __future__ import annotations

import asyncio
import sqlite3
import traceback
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from mobstore import (
    InternalError,
    MobStoreError,
    ReadFailedError,
    WriteFailedError,
    open_stores,
)
from mobstore.engines.sqlite.driver_errors import is_busy, translate
from mobstore.testing.samples import tagged_event

pytestmark = pytest.mark.usefixtures("both_threads")

PATH = Path("/data/mobs.db")
PAYLOAD = "UNIQUE constraint failed: secret of the user"


class Expected(NamedTuple):
    code: int
    name: str
    says: str
    retry_safe: bool = False
    lost_commit_is_doubtful: bool = False


def _io(name: str) -> Expected:
    return Expected(getattr(sqlite3, name), name, "the disk failed", lost_commit_is_doubtful=True)


TABLE = [
    Expected(sqlite3.SQLITE_BUSY, "SQLITE_BUSY", "locked by another process", retry_safe=True),
    Expected(
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        "SQLITE_BUSY_SNAPSHOT",
        "locked by another process",
        retry_safe=True,
    ),
    Expected(
        sqlite3.SQLITE_BUSY_RECOVERY,
        "SQLITE_BUSY_RECOVERY",
        "locked by another process",
        retry_safe=True,
    ),
    Expected(sqlite3.SQLITE_LOCKED, "SQLITE_LOCKED", "locked by another process", retry_safe=True),
    Expected(sqlite3.SQLITE_FULL, "SQLITE_FULL", "free some disk space", retry_safe=True),
    Expected(sqlite3.SQLITE_READONLY, "SQLITE_READONLY", "make the file, its directory"),
    Expected(sqlite3.SQLITE_READONLY_DBMOVED, "SQLITE_READONLY_DBMOVED", "writable"),
    Expected(sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN", "check that its directory"),
    Expected(
        sqlite3.SQLITE_CANTOPEN_ISDIR,
        "SQLITE_CANTOPEN_ISDIR",
        "check that its directory",
    ),
    Expected(sqlite3.SQLITE_NOTADB, "SQLITE_NOTADB", "is not a SQLite database"),
    Expected(sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT", "restore a backup"),
    Expected(sqlite3.SQLITE_CORRUPT_INDEX, "SQLITE_CORRUPT_INDEX", "restore a backup"),
    _io("SQLITE_IOERR"),
    _io("SQLITE_IOERR_WRITE"),
    _io("SQLITE_IOERR_FSYNC"),
    _io("SQLITE_IOERR_SHORT_READ"),
    _io("SQLITE_IOERR_SHMMAP"),
    Expected(sqlite3.SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT"),
    Expected(
        sqlite3.SQLITE_CONSTRAINT_TRIGGER, "SQLITE_CONSTRAINT_TRIGGER", "SQLITE_CONSTRAINT_TRIGGER"
    ),
    Expected(sqlite3.SQLITE_TOOBIG, "SQLITE_TOOBIG", "a row of more than 81 MiB"),
    Expected(sqlite3.SQLITE_ERROR, "SQLITE_ERROR", "SQLITE_ERROR"),
]


def _error(
    code: int, name: str, kind: type[sqlite3.Error] = sqlite3.OperationalError
) -> sqlite3.Error:
    error = kind(PAYLOAD)
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize("committing", [False, True])
@pytest.mark.parametrize("writing", [False, True])
@pytest.mark.parametrize("expected", TABLE, ids=lambda expected: expected.name)
def test_translate(expected: Expected, writing: bool, committing: bool) -> None:
    error = _error(expected.code, expected.name)
    told = translate(error, PATH, writing=writing, committing=committing)
    assert type(told) is (WriteFailedError if writing else ReadFailedError)
    assert expected.says in str(told)
    assert str(PATH) in str(told)
    assert "secret" not in str(told)
    assert told.retry_safe is expected.retry_safe
    assert told.maybe_written is (expected.lost_commit_is_doubtful and committing)
    assert is_busy(error) is ("locked by another process" in str(told))


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.ProgrammingError(PAYLOAD),
        _error(sqlite3.SQLITE_MISUSE, "SQLITE_MISUSE"),
        _error(sqlite3.SQLITE_RANGE, "SQLITE_RANGE", sqlite3.ProgrammingError),
    ],
)
def test_wrong_use_of_the_driver_is_a_bug(error: sqlite3.Error) -> None:
    told = translate(error, PATH, writing=True)
    assert type(told) is InternalError
    assert "bug in mobstore" in str(told)
    assert "secret" not in str(told)


@pytest.mark.parametrize("writing", [False, True])
def test_an_error_without_a_code(writing: bool) -> None:
    told = translate(sqlite3.OperationalError(PAYLOAD), PATH, writing=writing)
    assert type(told) is (WriteFailedError if writing else ReadFailedError)
    assert "secret" not in str(told)
    assert not told.retry_safe


def test_real_errors_of_the_driver(tmp_path: Path) -> None:
    """The table assumes where this Python sets the error code, and where it has none."""
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    caught: list[tuple[str, MobStoreError]] = []
    for sql in (
        "SELECT nonsense",
        "CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES ('secret'), ('secret')",
        "SELECT CAST(x'ff' AS TEXT)",
        "ROLLBACK",
    ):
        try:
            for statement in sql.split(";"):
                connection.execute(statement).fetchall()
        except sqlite3.Error as error:
            caught.append((sql, translate(error, PATH, writing=True)))
    connection.close()
    try:
        connection.execute("SELECT 1")
    except sqlite3.Error as error:
        caught.append(("closed", translate(error, PATH, writing=True)))
    assert [type(told) for _, told in caught] == [WriteFailedError] * 4 + [InternalError]
    told = [str(told) for _, told in caught]
    assert "SQLITE_ERROR" in told[0]
    assert "SQLITE_CONSTRAINT_UNIQUE" in told[1]
    assert "not UTF-8" in told[2]
    assert not any("secret" in text for text in told)


def test_stored_text_is_not_in_a_traceback(tmp_path: Path) -> None:
    """The driver quotes text that is not UTF-8, and its error is the cause."""
    path = tmp_path / "mobs.db"

    async def main() -> str:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("a secret"))
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("UPDATE events SET kind = CAST(CAST(kind AS BLOB) || x'ff' AS TEXT)")
        async with open_stores(f"sqlite:{path}") as stores:
            with pytest.raises(ReadFailedError) as caught:
                await stores.events.replay_all()
        return "".join(traceback.format_exception(caught.value))

    shown = asyncio.run(main())
    assert "OperationalError" in shown
    assert "secret" not in shown
