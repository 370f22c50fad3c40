"""An integrity check of a database of the reference, before any of it is imported.

A page with a damaged header can hide its rows: SQLite reads the other rows and raises no error.
`PRAGMA quick_check` detects it. It reads the whole file, so it runs in its own thread and can be
interrupted.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path

from mobstore.engines.sqlite.handover import outcome
from mobstore.errors import InternalError, ReadFailedError
from mobstore.maintenance.progress import Progress
from mobstore.meerkat.database import open_database
from mobstore.meerkat.pages import count
from mobstore.model.text import cut, plain

_THREADS = sys.platform != "emscripten"
_PAUSE = 0.05  # seconds
_PATIENCE = 0.2  # seconds; a wait for a lock cannot be interrupted


async def check_integrity(
    path: Path, progress: Progress, still: Callable[[], Awaitable[None]]
) -> int:
    """Check a database for damage. The check ends with this call, also if it is cancelled.

    Args:
        path: the file.
        progress: called repeatedly, with no row done; if it raises, the check ends.
        still: called repeatedly; if it raises, because the result is no longer needed, the check
            ends.

    Returns:
        The number of rows of the reference's tables.

    Raises:
        ReadFailedError: the file is damaged, cannot be read, or is not of the reference.
        InternalError: the file was open when this process was forked.
    """
    await still()
    check = _Check(path)
    if not _THREADS:
        check.run()
        check.done.result()
        return check.rows
    check.start()
    found = outcome(check.done)
    try:
        while not (await asyncio.wait({found}, timeout=_PAUSE))[0]:
            progress(0, check.rows)
            await still()
        found.result()
        return check.rows
    finally:
        check.end()
        if not found.cancel():
            found.exception()  # retrieved, so that asyncio does not log it


class _Check:
    """An integrity check in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # a closed connection must not be interrupted
        self._file: sqlite3.Connection | None = None
        self._wanted = True
        self.rows = 0  # of all tables, once they are counted
        self.done: Future[None] = Future()
        self._thread = threading.Thread(target=self.run, name="mobstore-check", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def run(self) -> None:
        try:
            self._run_check()
        except BaseException as error:  # noqa: BLE001 - raised in the waiting task
            self.done.set_exception(error)
        else:
            self.done.set_result(None)

    def end(self) -> None:
        """End the check: at once, or as soon as it has the lock it waits for."""
        self._wanted = False
        while self._interrupt():  # no effect between two statements, so repeat
            time.sleep(0.001)
        self._thread.join(_PATIENCE)

    def _interrupt(self) -> bool:
        with self._lock:
            if self._file is not None:
                self._file.interrupt()
            return self._file is not None

    def _run_check(self) -> None:
        with open_database(self._path) as (file, tables):
            self._hold(file)
            try:
                self.rows = sum(count(file, self._path, table) for table in tables.own)
                (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
            finally:
                self._hold(None)
        if found != "ok":
            *_, message = str(found).splitlines()
            raise ReadFailedError(
                f"{self._path} is damaged, and rows may be missing (SQLite:"
                f" {cut(plain(message), 120)}). Nothing was imported; restore a backup. Without"
                " this check, the rows that can be read are imported, and lost rows are not noticed"
            )

    def _hold(self, file: sqlite3.Connection | None) -> None:
        with self._lock:
            if file is not None and not self._wanted:
                raise InternalError("the task was cancelled")
            self._file = file
