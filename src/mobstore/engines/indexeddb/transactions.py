"""Assignment of scripts to transactions, and a transaction's event handlers.

IndexedDB commits a transaction as soon as control returns to the browser with no request pending.
An `await` resumes too late. So scripts are stepped within the events of their requests.

Calls that are queued while a transaction is under way join it and share its commit. All scripts
send their first reads at once. Reading scripts then run side by side. Writing scripts run one after
the other, in order of arrival: none ends before the scripts ahead of it have made their writes.
Tasks are woken within the transaction's events. So tasks that read in a loop would prolong one
transaction, and writers wait for its end: few calls join one that reads, and for a short time only.

A script may read a counter in a later round, as an event's append within an atomic call does. From
then on, scripts of the same function have it read in their first round, which saves a round trip.

A cancelled task's script is skipped unless its writes have been made. A loading script writes as
it goes, so cancelling it aborts its transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from math import inf
from time import monotonic
from types import CodeType
from typing import Any, TypeAlias, cast

from mobstore.engines.indexeddb.call import Call
from mobstore.engines.indexeddb.database import Connection, Mode
from mobstore.engines.indexeddb.javascript import JsValue, Transaction
from mobstore.engines.indexeddb.reads import ReadBatch
from mobstore.engines.indexeddb.rows import Rows, Steps
from mobstore.errors import InternalError, MobStoreError
from mobstore.scripts.tables import COUNTERS, Key
from mobstore.scripts.transaction import (
    Commit,
    Count,
    Get,
    LoadingScript,
    Now,
    Scan,
    Script,
    Write,
)

OnCommit: TypeAlias = Callable[[Iterable[Write] | None], None]
"""A function that receives the writes of a commit, or None after a loading script."""

_MOST_WRITES = 256  # calls of a transaction; other tabs wait until it ends
_MOST_READS = 16  # as many reads as cross the bridge together
_JOINING = 0.02  # seconds for which calls join a transaction that reads


class Queue:
    """Queued calls of one mode, and the transactions that run them.

    Attributes:
        foreseen: keys of the counters that scripts read after their first round, by function.
    """

    def __init__(
        self, connection: Connection, mode: Mode, on_commit: OnCommit | None = None
    ) -> None:
        self.connection: Connection = connection
        self.on_commit: OnCommit | None = on_commit
        self.mode: Mode = mode
        self._most = _MOST_READS if mode == "readonly" else _MOST_WRITES
        self.joinable: _Transaction | None = None
        self.foreseen: dict[CodeType | None, set[Key]] = {}
        self._calls: deque[Call[Any]] = deque()
        self._transactions: list[_Transaction] = []
        self._idle: list[_Transaction] = []
        self._closing: list[asyncio.Future[None]] = []

    def add(self, call: Call[Any]) -> None:
        """Queue a call; it runs now, or from the next event of the joinable transaction on."""
        self._calls.append(call)
        self.start()

    def put_back(self, call: Call[Any]) -> None:
        """Queue a call again, ahead of the others."""
        self._calls.appendleft(call)

    def take(self, taken: list[Call[Any]]) -> Call[Any] | None:
        """Return the next call for a transaction that has taken some, or None for no more."""
        while self._calls and self._calls[0].settled:
            self._calls.popleft()
        if not self._calls or len(taken) >= self._most:
            return None
        if taken and (taken[0].alone or self._calls[0].alone):
            return None
        return self._calls.popleft()

    def release(self, transaction: _Transaction) -> None:
        """Take back a transaction that has ended."""
        self._idle.append(transaction)
        self.start()
        while self._closing and self._is_idle:
            self._closing.pop().set_result(None)

    @property
    def _is_idle(self) -> bool:
        return all(one in self._idle for one in self._transactions)

    def stop_joining(self, transaction: _Transaction) -> None:
        """Close a transaction to further calls; another one may already be joinable."""
        if self.joinable is transaction:
            self.joinable = None

    async def close(self) -> None:
        """Wait until nothing is queued or under way, then release the handlers.

        A transaction whose calls were all cancelled is aborted and not waited for: a tab that the
        system has stopped within a write would hold it up without end, in Firefox also its abort.
        """
        for transaction in tuple(self._transactions):
            if transaction not in self._idle and transaction.abort_if_cancelled():
                self._transactions.remove(transaction)  # its handlers stay for its end
        if not self._is_idle:
            empty = asyncio.get_running_loop().create_future()
            self._closing.append(empty)
            await asyncio.shield(empty)
        while self._transactions:
            self._transactions.pop().destroy()

    def start(self) -> None:
        """Begin a transaction for queued calls, unless they can join one."""
        if self.joinable is not None or not self._calls:
            return
        if not self._idle:
            self._idle.append(_Transaction(self))
            self._transactions.append(self._idle[-1])
        self.joinable = self._idle.pop()
        self.joinable.begin()


class _Script:
    """A script under way.

    Attributes:
        call: the call that it serves.
        function: the code of the script's function.
        steps: yields the reads that the script waits for.
        batch: the latest of these reads.
        writing: whether the script has returned and only its writes remain.
    """

    __slots__ = ("batch", "call", "function", "steps", "writing")

    def __init__(self, call: Call[Any], perform: Callable[[_Script], Steps]) -> None:
        self.call, self.writing = call, False
        self.function: CodeType | None = None
        self.steps = perform(self)
        self.batch: ReadBatch | None = None


class _Transaction:
    """A transaction that runs calls, and is reused for another one once it has ended.

    Its handlers are created once: creating one takes longer than stepping a script.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue, self._connection = queue, queue.connection
        self._writable = queue.mode == "readwrite"
        make = queue.connection.browser.handler
        self._success, self._error = make(self._on_success), make(self._on_error)
        self._complete, self._abort = make(self._on_complete), make(self._on_abort)

    def begin(self) -> None:
        """Begin a transaction with the calls that are queued."""
        self._calls: list[Call[Any]] = []
        self._scripts: dict[_Script, None] = {}  # those that have not ended, oldest first
        self._failure: Any = None
        self._writes: list[Write] = []  # for commit listeners; without those of a loading script
        self._loaded = False
        self._joinable_until = inf if self._writable else monotonic() + _JOINING
        try:
            self._native: Transaction = self._connection.begin(self._queue.mode)
        except MobStoreError as error:
            self._queue.stop_joining(self)
            while call := self._queue.take([]):
                call.error = copy(error)
                call.settle()
            self._queue.release(self)
            return
        self._rows = Rows(self._connection.browser, self._native, self._connection.now)
        self._advance()
        # No event can fire before control returns to the browser, so setting these can wait until
        # the first requests have been sent.
        self._native.oncomplete, self._native.onabort = self._complete, self._abort
        self._native.onerror = self._error

    def abort_if_cancelled(self) -> bool:
        """Abort if all calls were cancelled; return whether that is so."""
        cancelled = all(call.cancelled for call in self._calls)
        if cancelled:
            with suppress(self._connection.browser.Error):  # it may be ending already
                self._native.abort()
        return cancelled

    def destroy(self) -> None:
        """Release the handlers."""
        for handler in (self._success, self._error, self._complete, self._abort):
            handler.destroy()

    def _on_success(self, _: JsValue) -> None:
        if self._joins and monotonic() > self._joinable_until:
            self._queue.stop_joining(self)
            self._queue.start()
        self._advance()

    def _on_error(self, event: JsValue) -> None:
        # Firefox has the reason only here; in `onabort` it has an AbortError.
        self._failure = self._failure or event.target.error

    def _advance(self) -> None:
        """Step scripts until all wait for the browser; commit once all have ended."""
        try:
            self._rows.take()
            while not self._rows.send(self._step_all(), self._success):
                if not self._scripts:
                    self._queue.stop_joining(self)
                    self._rows.flush()
                    if not self._wrote:
                        # A transaction that wrote commits by itself: after `commit`, Firefox rolls
                        # back only if the last request fails, not if an earlier one does.
                        self._native.commit()
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the awaiting task
            self._failure = self._failure or error
            self._queue.stop_joining(self)
            with suppress(self._connection.browser.Error):  # it may be ending already
                self._native.abort()

    @property
    def _joins(self) -> bool:
        """True while queued calls join this transaction."""
        return self._queue.joinable is self

    @property
    def _wrote(self) -> bool:
        return self._loaded or bool(self._writes)

    def _step_all(self) -> list[ReadBatch]:
        """Step the scripts that can continue, start those queued, and return what they read."""
        batches: list[ReadBatch] = []
        foreseen = set[Key]()
        for script in tuple(self._scripts):
            if batch := self._step(script):
                batches.append(batch)
                if self._writable:  # only the oldest script may continue
                    break
        while self._joins and (call := self._queue.take(self._calls)):
            self._calls.append(call)
            script = _Script(call, self._perform)
            self._scripts[script] = None
            if batch := self._step(script):
                batches.append(batch)
                foreseen |= self._queue.foreseen.get(script.function, set())
        if foreseen:
            batches.insert(0, ReadBatch(tuple(Get(COUNTERS, key) for key in foreseen)))
        return batches

    def _step(self, script: _Script) -> ReadBatch | None:
        """Run a script until it reads something unknown; return that, or None if it has ended.

        A script that starts runs until its first read.
        """
        try:
            if script.batch is None:
                script.batch = ReadBatch(next(script.steps))
            else:
                first = script.batch
                while (answers := self._rows.answers(script.batch)) is not None:
                    script.batch = ReadBatch(script.steps.send(answers))
                if script.batch is not first:
                    self._foresee(script, script.batch)
        except StopIteration:
            pass
        except (MobStoreError, TypeError, ValueError, LookupError, AttributeError) as error:
            script.steps.close()
            if script.call.loading or script.writing:
                raise
            known = isinstance(error, MobStoreError)
            script.call.error = error if known else self._connection.corruption(error)
        else:
            return script.batch
        script.call.ended = True
        del self._scripts[script]
        if not self._writable:
            script.call.settle()
        return None

    def _foresee(self, script: _Script, later: ReadBatch) -> None:
        """Remember the counters that a script reads after its first round."""
        for read in later.reads:
            if isinstance(read, Get) and read.table is COUNTERS:
                self._queue.foreseen.setdefault(script.function, set()).add(read.key)

    def _perform(self, script: _Script) -> Steps:
        """Run one script to its end, and make its writes."""
        call = script.call
        made = cast("Script[Any]", self._one_by_one(call) if call.loading else call.make())
        script.function = getattr(made, "gi_code", None)
        commit: Commit[Any] = yield from made
        yield ()  # a script without reads arrives here before those ahead of it have written
        if call.loading:
            self._require_awaited(call)
        elif not call.settled:
            self._writes += commit.writes
        if not call.settled:
            script.writing = True
            for write in commit.writes:
                yield from self._rows.write(write, careful=call.careful)
        call.outcome = commit.result

    def _one_by_one(self, call: Call[Any]) -> Steps:
        """Turn a loading script into one that only reads, one step at a time."""
        script = cast("LoadingScript[Any]", call.make())
        self._loaded = True
        try:
            step = next(script)
            while True:
                answers: list[Any] = []
                for one in step:
                    self._require_awaited(call)
                    if isinstance(one, (Get, Scan, Count, Now)):
                        answers += yield (one,)
                    else:
                        answers.append((yield from self._rows.write(one, careful=call.careful)))
                # Wait for the browser after each step, or the whole load would queue up in memory.
                yield (Count(Scan(COUNTERS)),)
                step = script.send(tuple(answers))
        except StopIteration as end:
            return end.value
        finally:
            script.close()

    def _require_awaited(self, call: Call[Any]) -> None:
        """Abort the transaction of a loading script once its task has been cancelled."""
        if call.settled:
            raise asyncio.CancelledError

    def _on_complete(self, _: JsValue) -> None:
        self._queue.stop_joining(self)
        for call in self._calls:
            if not call.ended:
                call.error = InternalError("a transaction ended before its script did")
        try:
            if self._queue.on_commit is not None and self._wrote:
                self._queue.on_commit(None if self._loaded else self._writes)
        finally:
            self._end(self._calls)

    def _on_abort(self, _: JsValue) -> None:
        self._queue.stop_joining(self)
        calls = [call for call in self._calls if not call.settled]
        failure = self._failure or self._native.error
        key_exists = getattr(failure, "name", None) == "ConstraintError"
        if len(self._calls) > 1 or (key_exists and not any(call.careful for call in calls)):
            # Any of them may have caused the abort. Each runs alone, so only that one fails.
            for call in reversed(calls):
                call.alone, call.careful = True, call.careful or key_exists
                call.ended, call.error = False, None
                self._queue.put_back(call)
            calls = []
        for call in calls:
            call.error = self._translate(failure)
        self._end(calls)

    def _translate(self, failure: Any) -> BaseException:
        """Return the error for calls of a transaction that failed with this."""
        if isinstance(failure, BaseException) and not isinstance(
            failure, self._connection.browser.Error
        ):
            return failure
        error = self._connection.translate(failure, self._queue.mode)
        if isinstance(failure, BaseException):
            error.__cause__ = failure
        return error

    def _end(self, calls: list[Call[Any]]) -> None:
        # What was read and written would be kept until this transaction is used again.
        self._calls, self._scripts, self._writes, self._failure = [], {}, [], None
        del self._native, self._rows
        self._queue.release(self)
        for call in calls:
            call.settle()
