"""The function of an atomic call runs apart from the event loop.

It waits for operations of its stores and nothing else. On some engines it runs on the event loop's
thread and on others it does not. So that what it must not do fails alike on all of them, and
leaves no task behind, it finds a loop that refuses whatever it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from mobstore.errors import UsageError
from mobstore.scripts.atomic import OPERATIONS_ONLY

T = TypeVar("T")

# What asyncio says where its own loop is missing, or is not the one that it knows.
_ABOUT_LOOPS = re.compile(r"event loop|different loop|inside a task|parent task")


class _RefusingLoop:
    """Stands in for the running event loop."""

    def create_task(self, coroutine: Coroutine[Any, Any, Any], **_: object) -> NoReturn:
        coroutine.close()  # or Python would warn that nobody has awaited it
        raise UsageError(OPERATIONS_ONLY)

    def __getattr__(self, name: str) -> NoReturn:
        raise UsageError(OPERATIONS_ONLY)

    def __hash__(self) -> int:  # by it asyncio looks for the present task
        raise UsageError(OPERATIONS_ONLY)


_REFUSING = _RefusingLoop()


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, UsageError) and error.detail == OPERATIONS_ONLY


def without_event_loop(step: Callable[[], T]) -> T:
    """Run a step of the function.

    Raises:
        UsageError: it came out of the function that asyncio missed its loop.
        Exception: whatever the function raises.
    """
    from asyncio import events  # whoever awaits has loaded it; an import of the package need not

    loop = events._get_running_loop()  # noqa: SLF001 - made for those who run loops
    try:
        events._set_running_loop(_REFUSING)  # type: ignore[arg-type]  # noqa: SLF001
        return step()
    except ExceptionGroup as group:  # a `TaskGroup` that was refused its first task
        if group.split(_is_refusal)[1] is None:
            raise UsageError(OPERATIONS_ONLY) from group
        raise
    except RuntimeError as error:
        if type(error) is RuntimeError and _ABOUT_LOOPS.search(str(error)):
            raise UsageError(OPERATIONS_ONLY) from error
        raise
    finally:
        events._set_running_loop(loop)  # noqa: SLF001
