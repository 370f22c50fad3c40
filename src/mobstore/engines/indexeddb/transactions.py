"""Which transaction runs which script, and the handlers by which the browser steps it.

An IndexedDB transaction ends as soon as control goes back to the browser with no request pending,
and an `await` resumes too late. So scripts are stepped within the events of their requests.

Scripts that are queued while a transaction is under way join it and share its commit. All ask at
once what they want to read first; reading scripts then run side by side, writing ones one after the
other, in the order in which they came: none is done before those ahead of it have made their
writes. Tasks are woken within the transaction's events.

A task that is cancelled leaves its script undone, unless its writes have been made. A loading
script makes them as it goes on: one that is cancelled is undone with its transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from typing import Any, TypeAlias, cast

from mobstore.engines.indexeddb.call import Call
from mobstore.engines.indexeddb.database import Connection, Mode
from mobstore.engines.indexeddb.javascript import JsValue, Transaction
from mobstore.engines.indexeddb.reads import ReadBatch
from mobstore.engines.indexeddb.rows import Rows, Steps
from mobstore.errors import InternalError, MobStoreError
from mobstore.scripts.tables import COUNTERS
from mobstore.scripts.transaction import Commit, Count, LoadingScript, Read, Scan, Script, Write

OnCommit: TypeAlias = Callable[[Iterable[Write] | None], None]
"""Takes the writes of a commit; None for those of a loading script."""

_MOST_PER_TRANSACTION = 256  # other tabs must not wait for longer


class Queue:
    """The queue of calls of one mode, and the transactions that run them."""

    def __init__(
        self, connection: Connection, mode: Mode, committed: OnCommit | None = None
    ) -> None:
        self.connection: Connection = connection
        self.committed: OnCommit | None = committed
        self.mode: Mode = mode
        self.queue: deque[Call[Any]] = deque()
        self.joinable: _Transaction | None = None
        self._transactions: list[_Transaction] = []
        self._idle: list[_Transaction] = []
        self._closing: list[asyncio.Future[None]] = []

    def add(self, call: Call[Any]) -> None:
        """Queue a call; it begins now, or with the next event of the transaction under way."""
        self.queue.append(call)
        self._start()

    def take(self, taken: list[Call[Any]]) -> Call[Any] | None:
        """The next call for a transaction that has taken some; None if it must not have more."""
        while self.queue and self.queue[0].settled:
            self.queue.popleft()
        if not self.queue or len(taken) >= _MOST_PER_TRANSACTION:
            return None
        if taken and (taken[0].alone or self.queue[0].alone):
            return None
        return self.queue.popleft()

    def reuse(self, transaction: _Transaction) -> None:
        """Take back what ran a transaction that is over."""
        self._idle.append(transaction)
        self._start()
        if len(self._idle) == len(self._transactions):
            while self._closing:
                self._closing.pop().set_result(None)

    def stop_joining(self, transaction: _Transaction) -> None:
        """Let no more calls join a transaction; another may have become the one to join since."""
        if self.joinable is transaction:
            self.joinable = None

    async def close(self) -> None:
        """Wait until nothing is queued or under way, then let go of the handlers."""
        if len(self._idle) < len(self._transactions):
            empty = asyncio.get_running_loop().create_future()
            self._closing.append(empty)
            await asyncio.shield(empty)
        while self._transactions:
            self._transactions.pop().destroy()

    def _start(self) -> None:
        """Begin a transaction for what is queued, unless one is under way that will take it."""
        if self.joinable is not None or not self.queue:
            return
        if not self._idle:
            self._idle.append(_Transaction(self))
            self._transactions.append(self._idle[-1])
        self.joinable = self._idle.pop()
        self.joinable.begin()


class _RunningScript:
    """A script under way.

    Attributes:
        call: whose it is.
        steps: yields the reads that the script waits for.
        batch: what it asked last.
        writing: whether the script has ended, and only its writes are still to be made.
    """

    __slots__ = ("batch", "call", "steps", "writing")

    def __init__(self, call: Call[Any], perform: Callable[[_RunningScript], Steps]) -> None:
        self.call, self.writing = call, False
        self.steps = perform(self)
        self.batch: ReadBatch | None = None


class _Transaction:
    """Runs calls in a transaction, one transaction after another.

    Its handlers are made once: to make one takes longer than to step a script.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue, self._connection = queue, queue.connection
        self._writing = queue.mode == "readwrite"
        make = queue.connection.browser.handler
        self._success, self._error = make(self._on_success), make(self._on_error)
        self._complete, self._abort = make(self._on_complete), make(self._on_abort)

    def begin(self) -> None:
        """Begin a transaction with what is queued."""
        self._calls: list[Call[Any]] = []
        self._running: dict[_RunningScript, None] = {}  # oldest first
        self._failure: Any = None
        self._writes: list[Write] = []  # for those who listen; not those of a loading script
        self._loaded = False
        try:
            self._transaction: Transaction = self._connection.begin(self._queue.mode)
        except MobStoreError as error:
            self._queue.stop_joining(self)
            while call := self._queue.take([]):
                call.error = copy(error)
                call.settle()
            self._queue.reuse(self)
            return
        self._rows = Rows(self._connection.browser, self._transaction)
        self._go_on()
        # Nothing of this can happen before, and the browser works on what it was asked.
        self._transaction.oncomplete, self._transaction.onabort = self._complete, self._abort
        self._transaction.onerror = self._error

    def destroy(self) -> None:
        """Let go of the handlers."""
        for handler in (self._success, self._error, self._complete, self._abort):
            handler.destroy()

    def _on_success(self, _: JsValue) -> None:
        self._go_on()

    def _on_error(self, event: JsValue) -> None:
        # Firefox tells the reason here alone; `onabort` knows of an AbortError only.
        self._failure = self._failure or event.target.error

    def _go_on(self) -> None:
        """Step scripts until the browser has to be waited for; commit when all have ended."""
        try:
            self._rows.take()
            while not self._rows.ask(self._advance(), self._success):
                if not self._running:
                    self._queue.stop_joining(self)
                    self._rows.flush()
                    if not self._wrote:
                        # What was written ends by itself: after `commit` Firefox would undo it only
                        # if the last of its requests fails, not if one before that does.
                        self._transaction.commit()
                    return
        except BaseException as error:  # noqa: BLE001 - the task that waits must hear of it
            self._failure = self._failure or error
            self._queue.stop_joining(self)
            with suppress(self._connection.browser.Error):  # its end may be under way already
                self._transaction.abort()

    @property
    def _wrote(self) -> bool:
        return self._loaded or bool(self._writes)

    def _advance(self) -> list[ReadBatch]:
        """Step the scripts that may go on, begin what is queued; what they ask."""
        batches: list[ReadBatch] = []
        for running in tuple(self._running):
            if batch := self._step(running):
                batches.append(batch)
                if self._writing:  # the eldest alone may go on
                    break
        while call := self._queue.take(self._calls):
            self._calls.append(call)
            running = _RunningScript(call, self._perform)
            self._running[running] = None
            if batch := self._step(running):
                batches.append(batch)
        return batches

    def _step(self, running: _RunningScript) -> ReadBatch | None:
        """Run a script until it asks what is not known yet; None if it has ended.

        One that begins runs until it first asks.
        """
        try:
            if running.batch is None:
                running.batch = ReadBatch(next(running.steps))
            else:
                while (answers := self._rows.answers(running.batch)) is not None:
                    running.batch = ReadBatch(running.steps.send(answers))
        except StopIteration:
            pass
        except (MobStoreError, TypeError, ValueError, LookupError, AttributeError) as error:
            running.steps.close()
            if running.call.loading or running.writing:
                raise
            ours = isinstance(error, MobStoreError)
            running.call.error = error if ours else self._connection.damaged(error)
        else:
            return running.batch
        running.call.ended = True
        del self._running[running]
        if not self._writing:
            running.call.settle()
        return None

    def _perform(self, running: _RunningScript) -> Steps:
        """Run one script to its end, and make its writes."""
        call = running.call
        script = cast("Script[Any]", self._one_by_one(call) if call.loading else call.make())
        commit: Commit[Any] = yield from script
        yield ()  # a script that asks nothing is here before those ahead of it have written
        if call.loading:
            self._require_awaited(call)
        elif not call.settled:
            self._writes += commit.writes
        if not call.settled:
            running.writing = True
            for write in commit.writes:
                yield from self._rows.write(write, careful=call.careful)
        call.outcome = commit.result

    def _one_by_one(self, call: Call[Any]) -> Steps:
        """A loading script as one that only asks, one thing after the other."""
        script = cast("LoadingScript[Any]", call.make())
        self._loaded = True
        try:
            asked = next(script)
            while True:
                answers: list[Any] = []
                for one in asked:
                    self._require_awaited(call)
                    if isinstance(one, Read):
                        answers += yield (one,)
                    else:
                        answers.append((yield from self._rows.write(one, careful=call.careful)))
                # It must not run ahead of the browser, or all it brings would wait in memory.
                yield (Count(Scan(COUNTERS)),)
                asked = script.send(tuple(answers))
        except StopIteration as end:
            return end.value
        finally:
            script.close()

    def _require_awaited(self, call: Call[Any]) -> None:
        """Undo the transaction of a loading script if no task waits for it any more."""
        if call.settled:
            raise asyncio.CancelledError

    def _on_complete(self, _: JsValue) -> None:
        self._queue.stop_joining(self)
        for call in self._calls:
            if not call.ended:
                call.error = InternalError("a transaction ended before its script did")
        try:
            if self._queue.committed is not None and self._wrote:
                self._queue.committed(None if self._loaded else self._writes)
        finally:
            self._end(self._calls)

    def _on_abort(self, _: JsValue) -> None:
        self._queue.stop_joining(self)
        calls = [call for call in self._calls if not call.settled]
        failure = self._failure or self._transaction.error
        clash = getattr(failure, "name", None) == "ConstraintError"
        if len(self._calls) > 1 or (clash and not any(call.careful for call in calls)):
            # One may be guilty of what undid them all: it alone shall fail.
            for call in reversed(calls):
                call.alone, call.careful = True, call.careful or clash
                call.ended, call.error = False, None
                self._queue.queue.appendleft(call)
            calls = []
        for call in calls:
            call.error = self._said(failure)
        self._end(calls)

    def _said(self, failure: Any) -> BaseException:
        if isinstance(failure, BaseException) and not isinstance(
            failure, self._connection.browser.Error
        ):
            return failure
        said = self._connection.said(failure, self._queue.mode)
        if isinstance(failure, BaseException):
            said.__cause__ = failure
        return said

    def _end(self, calls: list[Call[Any]]) -> None:
        self._queue.reuse(self)
        for call in calls:
            call.settle()
