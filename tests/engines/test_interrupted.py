"""Signal handlers that raise while a thread's result is handed to the event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest

from mobstore import ClaimLostError, MobStores, open_stores
from mobstore.engines.sqlite import handover, writer
from mobstore.stores import keeping
from mobstore.testing.samples import tagged_event


class TimeLimitError(Exception):
    """An exception that a task queue raises in the main thread, at any instruction."""


@contextmanager
def interrupted(place: int, *paths: str | None) -> Generator[list[int]]:
    """Raise once, at one instruction of the functions in some files that the event loop calls.

    Within the block, the loop calls only the functions that settle futures. The yielded object
    counts the instructions.
    """
    count = [0]

    def trace(frame: FrameType, what: str, _: object) -> Any:
        if frame.f_code.co_filename not in paths or not settles(frame):
            return None
        frame.f_trace_opcodes = True
        if what in {"call", "opcode"}:
            count[0] += 1
            if count[0] == place:
                raise TimeLimitError
        return trace

    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(None)


def settles(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename in {handover.__file__, writer.__file__}:
        if frame.f_code.co_name in {"settle", "_settle"}:
            return True
        frame = frame.f_back
    return False


def keep_quiet(_loop: asyncio.AbstractEventLoop, _what: dict[str, Any]) -> None:
    """Do not log every interruption."""


async def append(stores: MobStores) -> None:
    await asyncio.gather(*(stores.events.append(tagged_event(f"{n}")) for n in range(2)))


async def read(stores: MobStores) -> None:
    await stores.engine.faults()


async def close(stores: MobStores) -> None:
    await stores.close()


@asynccontextmanager
async def quiet(path: Path) -> AsyncGenerator[MobStores]:
    asyncio.get_running_loop().set_exception_handler(keep_quiet)
    async with open_stores(f"sqlite:{path}") as stores:
        yield stores


@pytest.mark.slow
@pytest.mark.parametrize("call", [append, read, close])
def test_the_result_arrives_whichever_instruction_is_interrupted(
    tmp_path: Path, call: Callable[[MobStores], Awaitable[None]]
) -> None:
    async def once(place: int) -> int:
        async with quiet(tmp_path / "mobs.db") as stores:
            with interrupted(place, handover.__file__, writer.__file__) as count:
                async with asyncio.timeout(5):
                    await call(stores)
            return count[0]

    most = asyncio.run(once(0))
    assert most > 10
    for place in range(1, most + 1):
        asyncio.run(once(place))


def test_a_claim_whose_renewal_is_interrupted_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> float:
        monkeypatch.undo()
        raise TimeLimitError

    async def main() -> None:
        async with open_stores("memory:") as stores:
            claim = await stores.claims.acquire("name", "holder", 0.3)
            assert claim is not None

            async def work() -> None:
                async with stores.claims.keep(claim), asyncio.timeout(5):
                    monkeypatch.setattr(keeping, "monotonic", interrupt)
                    await asyncio.Event().wait()

            with pytest.raises(ClaimLostError) as lost:
                await work()
            assert isinstance(lost.value.__cause__, TimeLimitError)

    asyncio.run(main())


def test_a_store_closes_after_a_close_that_was_interrupted(tmp_path: Path) -> None:
    async def main() -> None:
        stores = await open_stores(f"sqlite:{tmp_path / 'mobs.db'}")
        interrupting = patch.object(writer.Writer, "put", side_effect=TimeLimitError)
        with interrupting, pytest.raises(TimeLimitError):
            await stores.close()
        async with asyncio.timeout(5):
            await stores.close()

    asyncio.run(main())


def test_opening_is_not_held_up(tmp_path: Path) -> None:
    async def once(place: int) -> int:
        asyncio.get_running_loop().set_exception_handler(keep_quiet)
        with interrupted(place, handover.__file__) as count:
            async with asyncio.timeout(5):
                stores = await open_stores(f"sqlite:{tmp_path / 'mobs.db'}")
        await stores.close()
        return count[0]

    most = asyncio.run(once(0))
    assert most > 10
    for place in range(1, most + 1):
        asyncio.run(once(place))
