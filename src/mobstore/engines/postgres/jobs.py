"""Scripts that wait for their turn, and scripts that run together as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Sequence
from copy import copy
from typing import Any, Generic, TypeVar, cast

from mobstore.engines.postgres.reads import Answers, name_of
from mobstore.errors import MobStoreError, SerializationError
from mobstore.scripts.overlay import Overlay
from mobstore.scripts.transaction import (
    Commit,
    LoadingScript,
    Read,
    Script,
    ScriptPart,
    Write,
)

T = TypeVar("T")


ODD_VALUE = (TypeError, ValueError, OverflowError)
"""Errors of values that no script expects, or that cannot be stored."""


def odd_value(error: Exception) -> SerializationError:
    """Translate an error of `ODD_VALUE`."""
    translated = SerializationError(
        "the database holds a value that mobstore did not write; see the cause. Restore a backup"
    )
    translated.__cause__ = error
    return translated


class Job(Generic[T]):
    """A script that a task waits for.

    Attributes:
        make: makes the script.
        loading: whether it is a loading script.
        future: of the task; cancelled with it.
        result: what the script returned.
        error: why it failed, if it did.
    """

    __slots__ = ("error", "future", "loading", "make", "result")

    def __init__(
        self,
        make: Callable[[], Script[T] | LoadingScript[T]],
        future: asyncio.Future[T],
        *,
        loading: bool = False,
    ) -> None:
        self.make: Callable[[], Script[T] | LoadingScript[T]] = make
        self.loading: bool = loading
        self.future: asyncio.Future[T] = future
        self.result: T | None = None
        self.error: BaseException | None = None

    def script(self) -> Generator[Any, Any, Commit[T]]:
        """Return a fresh script, which also raises the errors of `make`."""
        return (yield from self.make())

    def fail(self, error: BaseException) -> None:
        """Record an error; unexpected ones come from values that no script expects."""
        if isinstance(error, ODD_VALUE) and not (self.loading or isinstance(error, MobStoreError)):
            error = odd_value(error)
        self.error = error

    def deliver(self) -> None:
        """Set the result or the error for the task."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(cast("T", self.result))
        else:
            try:
                self.future.set_exception(self.error)
            except TypeError as rejection:  # a future cannot raise StopIteration
                rejection.__cause__ = self.error
                self.future.set_exception(rejection)


def waited_for(jobs: Iterable[Job[Any]]) -> bool:
    """Return whether a task waits for any of these jobs."""
    return any(not job.future.done() for job in jobs)


def fail_all(jobs: Sequence[Job[Any]], error: BaseException) -> None:
    """Record one error for several tasks; each that raises it extends its traceback."""
    for job in jobs:
        if job.error is None:
            job.error = error if len(jobs) == 1 else copy(error)
            job.error.__cause__ = error.__cause__


class _Ahead:
    """A script that runs ahead of its turn, to find out what it reads.

    It does not see the writes of the scripts before it. So it may read something else than it will
    in its turn; then only time is lost.
    """

    def __init__(self, job: Job[Any]) -> None:
        self._job = job
        self._script: Script[Any] | None = None
        self._moved = False  # beyond its first reads
        self.asked: Sequence[Read] = ()

    def start(self) -> Sequence[Read]:
        """Run to the first reads, and return them."""
        self._script = self._job.script()
        self._go(None)
        return self.asked

    def go_on(self, answers: Answers) -> Sequence[Read]:
        """Run on to reads without an answer, and return them."""
        while self._script is not None and self.asked:
            names = list(map(name_of, self.asked))
            if not all(name in answers for name in names):
                break
            self._moved = True
            self._go(tuple([answers[name] for name in names]))
        return self.asked

    def turn(self) -> Script[Any]:
        """Return the script for its turn: this one if it has seen nothing, or a new one."""
        if self._moved or self._script is None:
            if self._script is not None:
                self._script.close()
            return self._job.script()
        return _resumed(self._script, self.asked)

    def close(self) -> None:
        """End the script."""
        if self._script is not None:
            self._script.close()

    def _go(self, given: tuple[Any, ...] | None) -> None:
        script = cast("Script[Any]", self._script)
        try:
            self.asked = next(script) if given is None else script.send(given)
        except BaseException:  # noqa: BLE001 - it ends or raises in its turn as well
            self._script, self.asked = None, ()


def _resumed(script: Script[T], asked: Sequence[Read]) -> Script[T]:
    """Continue a script that has asked its first reads."""
    try:
        while True:
            asked = script.send((yield tuple(asked)))
    except StopIteration as end:
        return cast("Commit[T]", end.value)
    finally:
        script.close()


def run_together(jobs: Sequence[Job[Any]]) -> ScriptPart[list[Write]]:
    """Run scripts one after the other; each sees the writes of those before it.

    Their reads are asked together: first those that all scripts begin with, later those that a
    script still needs in its turn and those that the scripts after it seem to need.

    Returns:
        The writes of all scripts that did not fail; their results are in the jobs.
    """
    answers: Answers = {}
    ahead = [_Ahead(job) for job in jobs]
    overlay = Overlay()
    try:
        first = [read for one in ahead for read in one.start()]
        if first:
            yield from _ask(first, answers)
        for place, job in enumerate(jobs):
            job.error = None
            running = overlay.run(ahead[place].turn())
            try:
                asked = next(running)
                while True:
                    if any(name_of(read) not in answers for read in asked):
                        more = [read for one in ahead[place + 1 :] for read in one.go_on(answers)]
                        yield from _ask([*asked, *more], answers)
                    asked = running.send(tuple([answers[name_of(read)] for read in asked]))
            except StopIteration as end:
                job.result = cast("Commit[Any]", end.value).result
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - raised to the task
                job.fail(error)
            finally:
                running.close()
    finally:
        for one in ahead:
            one.close()
    return overlay.writes


def _ask(reads: Iterable[Read], answers: Answers) -> ScriptPart[None]:
    missing = {name: read for read in reads if (name := name_of(read)) not in answers}
    given = yield tuple(missing.values())
    answers.update(zip(missing, given, strict=True))


def load_alone(job: Job[Any]) -> Generator[Sequence[Read | Write], Any, Sequence[Write] | None]:
    """Run a loading script; its error is in the job.

    Returns:
        The writes of its commit; None if it failed, so that those before are to be rolled back.
    """
    job.error = None
    script = job.script()
    given: Any = None
    try:
        while True:
            try:
                asked = next(script) if given is None else script.send(given)
            except StopIteration as end:
                commit = cast("Commit[Any]", end.value)
                job.result = commit.result
                return commit.writes
            except BaseException as error:  # noqa: BLE001 - raised to the task
                job.fail(error)
                return None
            given = tuple((yield asked))
    finally:
        script.close()
