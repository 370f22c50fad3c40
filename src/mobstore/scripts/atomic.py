"""Several operations as one script.

The caller's function is a coroutine. Each of its awaits is an operation on the stores passed to it.
The engine steps the coroutine like a script, on the thread that runs scripts, and restarts it where
it restarts a script.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import Context
from functools import partial
from typing import Any, Generic, NamedTuple, NoReturn, TypeAlias, TypeVar, cast

from mobstore.errors import MobStoreError, RefusedError, UsageError
from mobstore.scripts.overlay import Overlay
from mobstore.scripts.transaction import Commit, Engine, LoadingScript, Scan, Script, enter_atomic

T = TypeVar("T")
V = TypeVar("V")

Work: TypeAlias = Callable[[V], Coroutine[object, None, T]]
"""An async function that awaits only operations on the stores passed to it."""


Step: TypeAlias = Callable[[Callable[[], object]], object]
"""Calls its argument, which runs the function up to its next operation."""

OPERATIONS_ONLY = (
    "within an atomic call, await only operations of the stores passed to the function"
)
_ASYNC_FUNCTION = "atomic takes an async function of the stores passed to it"


class Outcome(NamedTuple, Generic[T]):
    """The function's outcome.

    An exception is carried as a value so that engines do not treat it as a failed script.
    """

    result: T | None
    error: Exception | None = None

    def get(self) -> T:
        """Return the function's result, or raise its error."""
        if self.error is not None:
            raise self.error
        return cast("T", self.result)


def atomic_script(
    work: Work[V, T],
    view: Callable[[Engine], V],
    context: Context,
    step: Step = lambda run: run(),
    guards: Iterable[Script[None]] = (),
) -> Script[Outcome[T]]:
    """Run a function of operations and commit all their writes, or none if it raises.

    Args:
        work: the function.
        view: makes the stores passed to the function, on an engine.
        context: the caller's context variables; the function sees them on any thread.
        step: runs each step of the function, in that context.
        guards: scripts that run first; their errors are the outcome.
    """
    if not callable(work):
        raise UsageError(_ASYNC_FUNCTION)
    try:
        for guard in guards:
            yield from guard
    except MobStoreError as error:
        return Commit(Outcome(None, error))
    recorder, overlay, number = _Recorder(), Overlay(), 0
    context = context.copy()
    enter_atomic(context)
    try:
        coroutine: Any = context.run(step, partial(work, view(recorder)))
    except Exception as error:  # noqa: BLE001 - any error of the caller's function is its outcome
        return Commit(Outcome(None, error))
    if not inspect.iscoroutine(coroutine):
        raise UsageError(_ASYNC_FUNCTION)
    go_on: Callable[[], object] = partial(coroutine.send, None)
    try:
        while True:
            recorder.usable = True
            try:
                operation = context.run(step, go_on)
            finally:
                recorder.usable = False  # for tasks the function started, while this waits
            number += 1
            try:
                commit = yield from overlay.run(_script_of(operation))
                if commit.refusal is not None:
                    raise RefusedError(number, *commit.refusal)
            except MobStoreError as error:
                error.add_note(f"by operation {number} of an atomic call")
                go_on = partial(coroutine.throw, error)
            else:
                go_on = partial(coroutine.send, commit.result)
    except StopIteration as end:
        return Commit(Outcome(end.value), tuple(overlay.writes))
    except Exception as error:  # noqa: BLE001 - any error of the caller's function is its outcome
        return Commit(Outcome(None, error))
    finally:
        coroutine.close()


def _script_of(operation: object) -> Script[Any]:
    if isinstance(operation, _Operation):
        return operation.make()
    raise UsageError(OPERATIONS_ONLY)


class _Operation:
    """A script that the recorder awaits; the caller that steps the coroutine runs it."""

    def __init__(self, make: Callable[[], Script[Any]]) -> None:
        self.make = make

    def __await__(self) -> Generator[_Operation, Any, Any]:
        return (yield self)


class _Recorder(Engine):
    """An engine that passes scripts to the caller that steps the coroutine.

    Attributes:
        usable: whether the coroutine is being stepped.
    """

    def __init__(self) -> None:
        self.usable = False

    async def read(self, make: Callable[[], Script[T]]) -> T:
        if not self.usable:
            raise UsageError("these stores belong to an atomic call; use them only in its function")
        return cast("T", await _Operation(make))

    write = read

    async def settle(self) -> None:
        return  # within a transaction, all writes before it have ended

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:  # noqa: ARG002
        self._refuse("load a whole store")

    def listen(
        self,
        wake: Callable[[], None],  # noqa: ARG002
        to: Scan[Any] | None = None,  # noqa: ARG002
    ) -> Callable[[], None]:
        self._refuse("wait for commits")

    def use_clock(self, now: Callable[[], str]) -> None:  # noqa: ARG002
        self._refuse("change the clock")

    async def compact(self) -> None:
        self._refuse("compact")

    async def close(self) -> None:
        self._refuse("close the store")

    def _refuse(self, what: str) -> NoReturn:
        raise UsageError(f"an atomic call cannot {what}")
