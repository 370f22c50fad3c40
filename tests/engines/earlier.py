"""A file of format 1, programs of its time, and processes that die while they upgrade it.

The file was written by the last mobstore of format 1: an event of every kind, six runs of each
status but the fourth, which was deleted, and one of which the status has changed twice. Later runs
were created earlier.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

from engines.support import TESTS, query, say
from mobstore import MobStoreError, open_stores
from mobstore.engines.sqlite import condition, file, upgrade
from mobstore.engines.sqlite.formats import FORMAT_1
from mobstore.engines.sqlite.layout import made_by
from mobstore.testing.samples import tagged_event

_FILE = TESTS / "golden" / "format-1.db.gz"

TABLES_1 = tuple(name for kind, name in made_by(FORMAT_1) if kind == "table")

Content: TypeAlias = dict[str, list[tuple[Any, ...]]]


def make_format_1(path: Path) -> None:
    """Put the file in a place."""
    path.write_bytes(gzip.decompress(_FILE.read_bytes()))


def content(path: Path, tables: tuple[str, ...]) -> Content:
    """Return the format of a file, its layout and the rows of these tables."""
    layout = query(path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    rows = {table: query(path, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}
    return {"format": query(path, "PRAGMA user_version"), "layout": layout, **rows}


@contextmanager
def as_format_1() -> Generator[None]:
    """Open files as a mobstore of format 1 does; it knows no later one."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(upgrade, "SCHEMA", FORMAT_1))
        for module in (condition, file, upgrade):
            patches.enter_context(patch.object(module, "FORMAT", 1))
        yield


async def open_once(path: Path) -> None:
    async with open_stores(f"sqlite:{path}"):
        pass


def use_as_format_1(path: str) -> None:
    """Keep a file open as a mobstore of format 1; on each line of input, write and read."""

    async def outcome(call: Awaitable[object]) -> str:
        try:
            await call
        except MobStoreError as error:
            return repr(error)
        return "fine"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            say("open")
            for _ in sys.stdin:
                say(await outcome(stores.events.append(tagged_event("old"))))
                say(await outcome(stores.events.poll(0, 1)))

    with as_format_1():
        if (ended := asyncio.run(outcome(main()))) != "fine":
            say(ended)


def die_upgrading(path: str, directory: str) -> None:
    """Open copies of a file, each in a process that kills itself before another statement.

    Prints how many have died. The process after them has no statement left to die before.
    """
    for number in count():
        copy = Path(directory) / f"{number}.db"
        shutil.copyfile(path, copy)
        child = os.fork()
        if child == 0:
            with patch.object(file, "upgrade", _killed_before(number)):
                asyncio.run(open_once(copy))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0, "the upgrade failed"
            say(str(number))
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


def _killed_before(number: int) -> Callable[[sqlite3.Connection, int], None]:
    def watched(connection: sqlite3.Connection, version: int) -> None:
        statements = count()

        def trace(_: str) -> None:
            if next(statements) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        connection.execute("PRAGMA cache_size = 4")  # so that pages are written before the commit
        connection.set_trace_callback(trace)
        upgrade.upgrade(connection, version)

    return watched
