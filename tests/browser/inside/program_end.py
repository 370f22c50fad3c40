"""Tasks that end the program while others wait for the same transaction."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from mobstore import open_stores
from mobstore.testing.samples import event

_TASKS = 4
_SECONDS = 5


async def others_wake(ending: str, number: int, reading: bool) -> list[Any]:
    """End the program in one of four tasks; return the loop's exceptions and the results."""
    errors = {"SystemExit": SystemExit(3), "KeyboardInterrupt": KeyboardInterrupt()}
    error, name, raised = errors[ending], f"ending-{uuid4()}", list[str]()
    loop: Any = asyncio.get_running_loop()

    def exit_(code: object) -> None:  # noqa: ARG001
        raised.append("SystemExit")

    loop._system_exit_handler = exit_
    loop._keyboard_interrupt_handler = lambda: raised.append("KeyboardInterrupt")
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        await stores.events.append(event())

        async def call(n: int) -> int:
            if reading:
                result = len(await stores.events.replay_all())
            else:
                result = (await stores.events.append(event())).cursor
            if n == number:
                raise error
            return result

        tasks = [asyncio.create_task(call(n)) for n in range(_TASKS)]
        ended, waiting = await asyncio.wait(tasks, timeout=_SECONDS)
        assert not waiting, f"{len(waiting)} of {_TASKS} never woke"
        got = [task.result() for n, task in enumerate(tasks) if n != number]
        assert tasks[number].exception() is error
        after = (await stores.events.append(event())).cursor
    loop._system_exit_handler = loop._keyboard_interrupt_handler = None
    await delete_database(name)
    assert len(ended) == _TASKS
    return [raised, got, after]
