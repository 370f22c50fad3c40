"""A stand-in for the event loop during the function of an atomic call.

The function awaits operations of its stores and nothing else. Some engines run it on the event
loop's thread, others do not. The stand-in rejects every use of the loop, so that a wrong await
fails in the same way on all engines and leaves no task behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from mobstore.errors import UsageError
from mobstore.scripts.atomic import OPERATIONS_ONLY

T = TypeVar("T")

# The messages of asyncio for a missing or different loop.
_LOOP_MESSAGES = re.compile(r"event loop|different loop|inside a task|parent task")


class _RefusingLoop:
    """An event loop that rejects every use."""

    def create_task(self, coroutine: Coroutine[Any, Any, Any], **_: object) -> NoReturn:
        coroutine.close()  # or Python would warn that it was never awaited
        raise UsageError(OPERATIONS_ONLY)

    def __getattr__(self, name: str) -> NoReturn:
        raise UsageError(OPERATIONS_ONLY)

    def __hash__(self) -> int:  # asyncio looks up the current task by it
        raise UsageError(OPERATIONS_ONLY)


_REFUSING = _RefusingLoop()


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, UsageError) and error.detail == OPERATIONS_ONLY


def without_event_loop(step: Callable[[], T]) -> T:
    """Run a step of the function with the stand-in as the running event loop.

    Raises:
        UsageError: the function used the event loop.
        Exception: any error of the function.
    """
    import asyncio  # already loaded by async callers; importing the package does not need it

    loop = asyncio._get_running_loop()  # noqa: SLF001 - meant for event loops
    try:
        asyncio._set_running_loop(_REFUSING)  # type: ignore[arg-type]  # noqa: SLF001
        return step()
    except ExceptionGroup as group:  # a `TaskGroup` without its first task
        if group.split(_is_refusal)[1] is None:
            raise UsageError(OPERATIONS_ONLY) from group
        raise
    except RuntimeError as error:
        if type(error) is RuntimeError and _LOOP_MESSAGES.search(str(error)):
            raise UsageError(OPERATIONS_ONLY) from error
        raise
    finally:
        asyncio._set_running_loop(loop)  # noqa: SLF001
