"""Looking for damage in a database of the reference before anything of it is imported.

A page whose header was damaged can hide its rows: SQLite reads what is left and notices nothing.
`PRAGMA quick_check` does. It reads the whole file, so it has a thread of its own and can be ended.
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
from mobstore.meerkat.database import source
from mobstore.meerkat.pages import count
from mobstore.model.text import cut, plain

_THREADS = sys.platform != "emscripten"
_PAUSE = 0.05  # seconds
_PATIENCE = 0.2  # seconds; who waits for a lock cannot be interrupted


async def check_sound(path: Path, progress: Progress, still: Callable[[], Awaitable[None]]) -> None:
    """Have SQLite look for damage; it does not go on when this ends.

    Args:
        path: the file.
        progress: told now and then that no row is done; if it raises, the search ends.
        still: asked now and then whether it is worth while; the same holds of it.

    Raises:
        ReadFailedError: the file is damaged, cannot be read, or is none of the reference.
        InternalError: it was open when this process was forked.
    """
    await still()
    search = _Search(path)
    if not _THREADS:
        search.run()
        search.done.result()
        return
    search.start()
    found = outcome(search.done)
    try:
        while not (await asyncio.wait({found}, timeout=_PAUSE))[0]:
            progress(0, search.rows)
            await still()
        found.result()
    finally:
        search.end()
        if not found.cancel():
            found.exception()  # is known to whoever is told of it


class _Search:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # what is closed must not be interrupted
        self._file: sqlite3.Connection | None = None
        self._wanted = True
        self.rows = 0  # once they are counted
        self.done: Future[None] = Future()
        self._thread = threading.Thread(target=self.run, name="mobstore-check", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def run(self) -> None:
        try:
            self._look()
        except BaseException as error:  # noqa: BLE001 - who waits must hear of it
            self.done.set_exception(error)
        else:
            self.done.set_result(None)

    def end(self) -> None:
        """Have it end if it has not: at once, or as soon as it has the lock it waits for."""
        self._wanted = False
        while self._interrupted():  # in vain between two statements
            time.sleep(0.001)
        self._thread.join(_PATIENCE)

    def _interrupted(self) -> bool:
        with self._lock:
            if self._file is not None:
                self._file.interrupt()
            return self._file is not None

    def _look(self) -> None:
        with source(self._path) as (file, tables):
            self._hold(file)
            try:
                self.rows = sum(count(file, self._path, table) for table in tables)
                (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
            finally:
                self._hold(None)
        if found != "ok":
            *_, told = str(found).splitlines()
            raise ReadFailedError(
                f"{self._path} is damaged, and rows may be missing (SQLite:"
                f" {cut(plain(told), 120)}). Nothing was imported; restore a backup. Without this"
                " check what can still be read is imported, and nobody can tell what was lost"
            )

    def _hold(self, file: sqlite3.Connection | None) -> None:
        with self._lock:
            if file is not None and not self._wanted:
                raise InternalError("the task was cancelled")
            self._file = file
