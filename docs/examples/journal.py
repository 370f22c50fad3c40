"""An engine on a journal: all rows in memory, every commit one line at the end of a file.

A line is a JSON array of changes, `[table, key, row]`, where the row is null if it was removed. The
newline at its end is what makes a commit whole: opening cuts off a line that has none.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from mobstore.engines.clock import machine_time
from mobstore.engines.listeners import Listeners
from mobstore.errors import ClosedError, ReadFailedError, WriteFailedError
from mobstore.scripts.tables import TABLES, Key, Row, Table
from mobstore.scripts.transaction import (
    Add,
    Count,
    Delete,
    Engine,
    Get,
    LoadingScript,
    Put,
    Scan,
    Script,
    Write,
    drive,
    key_in_use,
    require_outside_atomic,
)

T = TypeVar("T")

_NAMED = {table.name: table for table in TABLES}


# --8<-- [start:rows]
class Rows:
    """The rows of all tables, and what a script has changed in them so far."""

    def __init__(self) -> None:
        self._tables: dict[Table[Any], dict[Key, Row]] = {table: {} for table in TABLES}
        self.changes: list[tuple[Table[Any], Key, Row | None, Row | None]] = []  # old, new

    def answer(self, asked: Get[Any] | Scan[Any] | Count | Write) -> object:
        """Answer one read, or apply one write of a loading script; `drive` answers `Now`."""
        if isinstance(asked, Get):
            return self._tables[asked.table].get(asked.key)
        if isinstance(asked, Scan):
            return self._scan(asked)
        if isinstance(asked, Count):
            return len(self._scan(asked.scan))
        self.write(asked)
        return None

    def _scan(self, scan: Scan[Any]) -> list[Row]:
        # Looks at every row of the table: short, but slow. An index would be a sorted list.
        values_of = scan.index.table.getter(scan.index.sorted_by)
        given = len(scan.prefix)
        found: list[tuple[Key, Row]] = []
        for row in self._tables[scan.index.table].values():
            values = values_of(row)
            order: tuple[Any, ...] = values[given:]
            if (
                values[:given] == scan.prefix
                and (scan.after is None or order[0] > scan.after)
                and (scan.before is None or order[0] < scan.before)
            ):
                found.append((order, row))
        found.sort(key=itemgetter(0), reverse=scan.backwards)
        return [row for _, row in found[: scan.limit]]

    # --8<-- [end:rows]
    # --8<-- [start:writes]
    def write(self, write: Write) -> None:
        """Apply one write, and remember how to undo it."""
        if isinstance(write, (Add, Put)):
            table: Table[Any] = write.table
            key_of = table.getter(table.key)
            for row in cast("list[Row]", write.rows):
                if isinstance(write, Add) and key_of(row) in self._tables[table]:
                    raise key_in_use(table, key_of(row))
                self.change(table, key_of(row), row)
        elif isinstance(write, Delete):
            self.change(write.table, write.key, None)
        else:
            table = write.scan.index.table
            key_of = table.getter(table.key)
            for row in self._scan(write.scan):
                self.change(table, key_of(row), None)

    def change(self, table: Table[Any], key: Key, row: Row | None) -> None:
        """Put a row in place of the one with this key, or remove that."""
        self.changes.append((table, key, self._tables[table].get(key), row))
        self._set(table, key, row)

    def undo(self) -> None:
        """Take back all that was changed since `changes` was empty."""
        while self.changes:
            table, key, old, _ = self.changes.pop()
            self._set(table, key, old)

    def _set(self, table: Table[Any], key: Key, row: Row | None) -> None:
        if row is None:
            self._tables[table].pop(key, None)
        else:
            self._tables[table][key] = row

    # --8<-- [end:writes]
    def all(self) -> list[tuple[str, Key, Row]]:
        """Return every row, as in a line of a journal with no other rows."""
        return [(table.name, k, row) for table in TABLES for k, row in self._tables[table].items()]


# --8<-- [start:engine]
class JournalEngine(Engine):
    """An engine that keeps everything in one file, for one process at a time.

    One thread runs all scripts, one after the other. So each sees the writes of those before it,
    no reader sees half of one, and the event loop never waits for the disk.
    """

    def __init__(self, path: Path) -> None:
        """Open a journal, or begin one.

        Raises:
            ReadFailedError: the file cannot be opened, or another process has it open.
        """
        self._path, self._rows, self._listeners = path, Rows(), Listeners()
        self._now = machine_time
        try:
            self._file = _open_alone(path)
        except OSError as error:
            raise ReadFailedError(f"{path} cannot be opened; is it open elsewhere?") from error
        self._size = 0
        for line in self._file:
            if line.endswith(b"\n"):
                self._size += len(line)
                for name, key, row in json.loads(line):
                    table: Table[Any] = _NAMED[name]
                    self._rows.change(table, tuple(key), row and table.row._make(row))
        self._rows.changes.clear()
        self._file.truncate(self._size)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._closed = False

    async def read(self, make: Callable[[], Script[T]]) -> T:
        """Run a script; one that writes nothing adds no line."""
        return await self._on_thread(lambda: self._run(make))

    write = read

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        """Run a loading script; its writes are undone if it raises, and are one line at its end."""
        return await self._on_thread(lambda: self._run(make, loading=True))

    def _run(self, make: Callable[[], Script[T] | LoadingScript[T]], *, loading: bool = False) -> T:
        try:
            commit = drive(make(), self._rows.answer, self._now)
            for write in commit.writes:
                self._rows.write(write)
            if self._rows.changes:
                changes = [(table.name, key, new) for table, key, _, new in self._rows.changes]
                self._append(changes)
        except BaseException:
            self._rows.undo()
            raise
        if self._rows.changes:
            self._rows.changes.clear()
            self._listeners.notify(None if loading else commit.writes)
        return commit.result

    def _append(self, changes: object) -> None:
        line = _line(changes)
        try:
            if self._file.write(line) < len(line):
                raise OSError("only a part was written")  # noqa: TRY301 - as any other refusal
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):  # the newline is missing, or a power failure takes the line
                self._file.truncate(self._size)
            raise WriteFailedError(f"{self._path} cannot be written; is there room?") from error
        self._size += len(line)

    # --8<-- [end:engine]
    # --8<-- [start:rest]
    def listen(self, wake: Callable[[], None], to: Scan[Any] | None = None) -> Callable[[], None]:
        """Register a listener; no other process writes this file."""
        self._check()
        return self._listeners.add(wake, to)

    def use_clock(self, now: Callable[[], str]) -> None:
        """Answer `Now` by this clock."""
        self._now = now

    async def compact(self) -> None:
        """Write a new journal with the current rows, and replace the old one by it."""
        await self._on_thread(self._compact)

    def _compact(self) -> None:
        beside = self._path.with_name(f"{self._path.name}.new")
        line = _line(self._rows.all())
        try:
            beside.write_bytes(line)
            file = _open_alone(beside)
            os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise WriteFailedError(f"{beside} cannot be written; is there room?") from error
        self._file.close()
        self._file, self._size = file, len(line)

    async def close(self) -> None:
        """Wait for what is queued, then close the file."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
            self._thread.shutdown()
            self._listeners.notify()

    async def _on_thread(self, work: Callable[[], T]) -> T:
        self._check()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _check(self) -> None:
        require_outside_atomic()
        if self._closed:
            raise ClosedError("the store is closed; open it again to use it")


def _line(changes: object) -> bytes:
    return json.dumps(changes).encode() + b"\n"


def _open_alone(path: Path) -> BinaryIO:
    """Open a file for appending, and lock it until it is closed."""
    file = path.open("a+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    file.seek(0)
    return cast("BinaryIO", file)


# --8<-- [end:rest]
