"""Scripts in transactions, on the writer's connection.

All scripts of a group share one `BEGIN IMMEDIATE … COMMIT`, one fsync. A script that raises has
written nothing, so it fails alone. A group that writes nothing does not commit.

A small script can also run alone, where it must not wait: on an event loop's thread.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, NamedTuple, TypeVar, cast

from mobstore.engines.clock import machine_time
from mobstore.engines.sqlite.condition import Condition
from mobstore.engines.sqlite.driver_errors import retrying, translate
from mobstore.engines.sqlite.identity import OpenFiles
from mobstore.engines.sqlite.kept_rows import KeptRows
from mobstore.engines.sqlite.reads import DEFERRED, SHORT, Budget, Deferred, TooMuchError
from mobstore.engines.sqlite.rows import LONGEST, Rows, size_of
from mobstore.errors import MobStoreError, SerializationError, WriteFailedError
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Delete,
    LoadingScript,
    Put,
    Script,
    Write,
    drive,
)

T = TypeVar("T")

_FEW_ROWS = 16  # that a small script writes
_SHARE = 8  # an estimate moves by one eighth of the difference


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """A script that is queued for the writer, or a compaction if `make` is None."""

    make: Callable[[], Script[T] | LoadingScript[T]] | None
    loading: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


class Outcome(NamedTuple):
    """The end of a transaction.

    Attributes:
        writes: what was committed; None if that is not known.
        error: why it failed, if it did.
        retry: whether nothing was written, and the cause may be one of several scripts.
    """

    writes: Sequence[Write] | None
    error: BaseException | None = None
    retry: bool = False


class Transactions:
    """The transactions of one connection, one at a time.

    Attributes:
        rows: the rows of the connection.
        now: the clock that answers `Now`.
        pace: the estimated seconds of a commit. A slow one counts in full, a quick one by a share.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        timeout: float,
        identity: OpenFiles,
        condition: Condition,
    ) -> None:
        self._connection, self._path, self._timeout = connection, path, timeout
        self._identity, self._condition = identity, condition
        self.rows: Rows = Rows(connection)
        self.now: Callable[[], str] = machine_time
        self.pace: float = 0.01  # slow, until some twenty commits were quick

    def check(self) -> None:
        """Raise unless the file is still the store that was opened.

        Raises:
            WriteFailedError: the file is gone or corrupt, or has a newer format or other tables.
        """
        self._identity.check(WriteFailedError)
        self._condition.refresh(self._connection)
        self._condition.check(WriteFailedError)

    def look(self) -> None:
        """Note the condition of the file after a commit of another connection."""
        try:
            self._condition.refresh(self._connection)
        except sqlite3.Error as error:
            self._condition.record(error)

    def rollback(self) -> None:
        """Roll back the open transaction, if there is one."""
        with suppress(sqlite3.Error):
            self.rows.rollback()

    def run(self, jobs: Sequence[Job[Any]]) -> Outcome:
        """Run scripts in one transaction, and commit it if they have written.

        The jobs have their results, or their own errors. An error of the outcome is that of all.
        """
        try:
            self.rows.limit_values(LONGEST)
            try:
                retrying(self._begin, self._timeout)
            except BaseException as error:  # noqa: BLE001 - the thread lives on, the caller sees it
                # A lock is no script's fault: alone, each would wait for it again.
                return Outcome([], self.translate(error, loading=jobs[0].loading))
            self.check()
            # A task cancelled while the lock was awaited: its caller knows that nothing was done.
            return Outcome(self._run([job for job in jobs if not job.future.cancelled()]))
        except BaseException as error:  # noqa: BLE001 - as above
            error = self.translate(error, loading=jobs[0].loading)
            if getattr(error, "maybe_written", False):  # a second run would write twice
                return Outcome(None, error)
            return Outcome([], error, retry=True)
        finally:
            self.rollback()

    def run_small(self, make: Callable[[], Script[T]]) -> Commit[T] | Deferred:
        """Run a script that reads and writes little; commit it if it has written.

        Returns:
            Its commit. `DEFERRED` if the script must run on the writer's thread: it reads or writes
            much, another process holds the lock, or SQLite failed before the commit.

        Raises:
            MobStoreError: the script's error, or the commit failed.
        """
        # A finaliser could wait for a thread that waits for this commit.
        collecting = gc.isenabled()
        try:
            gc.disable()
            self.rows.limit_values(SHORT)
            self._begin()
            self.check()
            commit = drive(make(), Budget(self.rows).answer, self.now)
            if not _is_small(commit.writes):
                return DEFERRED
            for write in commit.writes:
                self.rows.write(write)
        except MobStoreError:
            raise
        except (sqlite3.Error, TooMuchError, TypeError, ValueError, OverflowError):
            return DEFERRED
        else:
            if commit.writes:
                self._commit()
            return commit
        finally:
            try:
                self.rollback()
            finally:
                if collecting:
                    gc.enable()

    def translate(self, error: BaseException, *, loading: bool = False) -> BaseException:
        """Return the error of a failed transaction; a loading script's own errors stay."""
        translated = error
        if isinstance(error, sqlite3.Error):
            self._condition.record(error)
            translated = translate(error, self._path, writing=True)
        elif (
            isinstance(error, (TypeError, ValueError, OverflowError))
            and not isinstance(error, MobStoreError)
            and not loading
        ):
            translated = corrupt_value(self._path)
        if translated is not error:
            translated.__cause__ = error
        return translated

    def _begin(self) -> None:
        self.rollback()  # an exception of a signal handler may have come before the last one
        self.rows.begin()

    def _run(self, jobs: Sequence[Job[Any]]) -> list[Write] | None:
        """Run scripts in the open transaction, and commit it.

        Returns:
            The writes; None after a loading script.

        Raises:
            BaseException: it could not be committed.
        """
        rows = KeptRows(self.rows)
        writes: list[Write] = []
        loaded = False
        now = cache(self.now)  # one time for all scripts of a commit
        for job in jobs:
            job.error = None
            answer = self.rows.answer_or_write if job.loading else rows.answer
            try:
                commit = drive(cast("Script[Any]", cast("Any", job.make)()), answer, now)
            except MobStoreError as error:
                if job.loading:
                    raise
                job.error = error
                continue
            for write in commit.writes:
                rows.write(write)
            writes += commit.writes
            loaded = loaded or job.loading
            job.result = commit.result
        if writes or loaded:
            rows.flush()
            self._commit()
        return None if loaded else writes

    def _commit(self) -> None:
        """Commit the open transaction.

        Raises:
            MobStoreError: it could not be committed.
        """
        began = perf_counter()
        try:
            self.rows.commit()
        except sqlite3.Error as error:
            self._condition.record(error)
            raise translate(error, self._path, writing=True, committing=True) from error
        took = perf_counter() - began
        self.pace = max(took, self.pace + (took - self.pace) / _SHARE)


def _is_small(writes: Sequence[Write]) -> bool:
    rows, size = 0, 0
    for write in writes:
        if isinstance(write, (Add, Put)):
            rows += len(write.rows)
            if rows > _FEW_ROWS:
                return False
            size += size_of(write.table, write.table.columns, write.rows)
        elif isinstance(write, Delete):
            rows += 1
        else:
            return False
    return rows <= _FEW_ROWS and size <= SHORT


def corrupt_value(path: Path) -> SerializationError:
    """Return the error of a value that no script expects; arguments were checked before it ran."""
    return SerializationError(
        f"{path} holds a value that mobstore did not write; see the cause. Restore a backup"
    )
