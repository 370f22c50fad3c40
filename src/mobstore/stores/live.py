"""Following a store: read, wait for a commit, read on.

Whoever follows holds its place and nothing else; a commit only says "look again". So nothing is
missed when several commits come at once, and nothing piles up for those who are slow.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from mobstore.errors import InternalError, NotFoundError
from mobstore.model.event import MobEvent
from mobstore.model.run import RunHeader, is_terminal
from mobstore.operations.events import Subject, poll
from mobstore.operations.run_reading import get_run_header
from mobstore.transaction import Engine

if TYPE_CHECKING:
    import asyncio

_PAGE = 256


async def subscribe(engine: Engine, after: int, of: Subject | None) -> AsyncGenerator[MobEvent]:
    """The events after a cursor, without end."""
    with _changes(engine) as changed:
        while True:
            changed.clear()
            page = await engine.read(partial(poll, after, _PAGE, of))
            for event in page:
                yield event
                after = event.cursor
            if len(page) < _PAGE:
                await changed.wait()


async def watch(engine: Engine, run_id: str) -> AsyncGenerator[RunHeader]:
    """The head of a run whenever its status has changed, until it has ended."""
    with _changes(engine) as changed:
        last: RunHeader | None = None
        while last is None or not is_terminal(last.status):
            changed.clear()
            header = await engine.read(lambda: get_run_header(run_id))
            if header is None:
                if last is None:
                    raise NotFoundError(f"run not found: {run_id}")
                return
            if last is None or header.status != last.status:
                yield header
                last = header
            else:
                await changed.wait()


@contextmanager
def _changes(engine: Engine) -> Generator[asyncio.Event]:
    """An event that is set after each commit, whichever thread it happens on."""
    import asyncio  # whoever follows has loaded it; an import of the package need not

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as error:
        raise InternalError("nobody can wait for commits where no event loop runs") from error
    thread, changed = threading.get_ident(), asyncio.Event()

    def wake() -> None:
        if threading.get_ident() == thread:
            changed.set()
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(changed.set)

    stop = engine.listen(wake)
    try:
        yield changed
    finally:
        stop()
