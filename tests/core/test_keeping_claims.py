"""Keeping and waiting for claims: cancellations, failures and time, on the memory engine."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from mobstore import Claim, ClaimLostError, ClosedError, MobStores, UsageError, WriteFailedError
from mobstore.engines.memory import MemoryEngine
from mobstore.operations import claims as claim_scripts
from mobstore.scripts.transaction import Script
from mobstore.testing.samples import make_run, run_id, tagged_event

T = TypeVar("T")
SHORT = 0.15  # seconds


class Faulty(MemoryEngine):
    """An engine whose next writes fail or hang.

    Attributes:
        failing: the number of writes that fail.
        gate: writes wait for it, before they are done.
        after: writes wait for it, after they are done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failing, self.writes = 0, 0
        self.gate, self.after = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.after.set()

    async def write(self, make: Callable[[], Script[T]]) -> T:
        self.writes += 1
        await asyncio.sleep(0)  # as other engines, it takes a moment
        await self.gate.wait()
        if self.failing:
            self.failing -= 1
            raise WriteFailedError("disk full")
        done = await super().write(make)
        await self.after.wait()
        return done


@asynccontextmanager
async def opened(ttl: float = SHORT) -> AsyncGenerator[tuple[Faulty, MobStores, Claim]]:
    engine = Faulty()
    async with MobStores(engine) as stores:
        claim = await stores.claims.acquire("name", "ann", ttl)
        assert claim is not None
        yield engine, stores, claim


async def until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.005)


async def forever() -> None:
    await asyncio.Event().wait()


async def take(stores: MobStores, claim: Claim, holder: str = "bob") -> Claim:
    """Let another holder have a claim."""
    await stores.claims.renew(claim, 1e-6)
    await asyncio.sleep(0.001)
    taken = await stores.claims.acquire(claim.name, holder, 60)
    assert taken is not None
    return taken


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test; nothing stays behind."""

    async def checked() -> None:
        await main()
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others

    asyncio.run(checked())


# Keeping -----------------------------------------------------------------------------------------


def test_a_block_that_never_waits_leaves_no_listener() -> None:
    async def main() -> None:
        async with opened() as (engine, stores, claim):
            async with stores.claims.keep(claim):
                pass
            await asyncio.sleep(0)
            assert not vars(engine)["_listeners"]

    run(main)


@pytest.mark.slow
def test_it_is_renewed_for_longer_than_its_time_to_live() -> None:
    async def main() -> None:
        async with opened() as (_, stores, claim):
            async with stores.claims.keep(claim):
                await asyncio.sleep(SHORT * 3)
                assert await stores.claims.acquire("name", "bob", 1) is None
            await asyncio.sleep(SHORT * 1.2)
            assert await stores.claims.acquire("name", "bob", 1) is not None

    run(main)


@pytest.mark.slow
def test_a_renewal_that_fails_is_repeated() -> None:
    async def main() -> None:
        async with opened(ttl=0.6) as (engine, stores, claim), stores.claims.keep(claim):
            engine.failing = 1
            await asyncio.sleep(0.7)
            assert engine.failing == 0
            assert await stores.claims.acquire("name", "bob", 1) is None

    run(main)


def test_renewals_that_keep_failing_end_the_block() -> None:
    async def main() -> None:
        async with opened() as (engine, stores, claim):
            with pytest.raises(ClaimLostError, match="could not be renewed") as caught:  # noqa: PT012
                async with stores.claims.keep(claim):
                    engine.failing = 10**9
                    await forever()
            assert isinstance(caught.value.__cause__, WriteFailedError)

    run(main)


def test_a_renewal_that_hangs_ends_the_block() -> None:
    async def main() -> None:
        async with opened() as (engine, stores, claim):
            with pytest.raises(ClaimLostError, match="could not be renewed"):  # noqa: PT012
                async with stores.claims.keep(claim):
                    engine.gate.clear()
                    await forever()
            engine.gate.set()

    run(main)


def test_a_time_to_live_that_is_too_short_ends_the_block() -> None:
    async def main() -> None:
        async with opened(ttl=60) as (engine, stores, claim):
            short = await stores.claims.renew(claim, 1e-6)
            with suppress(ClaimLostError):
                async with stores.claims.keep(short):
                    engine.gate.clear()
                    await forever()
            engine.gate.set()
            assert engine.writes < 100

    run(main)


@pytest.mark.slow
def test_a_frozen_task_may_renew_an_expired_claim() -> None:
    async def main() -> None:
        async with opened() as (_, stores, claim), stores.claims.keep(claim):
            time.sleep(SHORT * 2)  # noqa: ASYNC251 - as if the process was stopped
            await asyncio.sleep(SHORT / 2)
            assert await stores.claims.acquire("name", "bob", 1) is None

    run(main)


def test_closing_the_store_ends_the_block() -> None:
    async def main() -> None:
        async with opened(ttl=60) as (_, stores, claim):
            with pytest.raises(ClaimLostError, match="the store was closed") as caught:  # noqa: PT012
                async with stores.claims.keep(claim):
                    await stores.close()
                    await forever()
            assert isinstance(caught.value.__cause__, ClosedError)
            with pytest.raises(ClosedError):
                await stores.claims.keep(claim).__aenter__()

    run(main)


def test_a_block_is_left_in_the_loop_that_it_was_entered_in() -> None:
    async def enter() -> AbstractAsyncContextManager[Claim]:
        stores = MobStores(MemoryEngine())
        claim = await stores.claims.acquire("name", "ann", 60)
        assert claim is not None
        block = stores.claims.keep(claim)
        await block.__aenter__()
        return block

    async def leave() -> None:
        with pytest.raises(UsageError, match="in another event loop"):
            await block.__aexit__(None, None, None)

    block = asyncio.run(enter())
    asyncio.run(leave())


@pytest.mark.parametrize("done", [True, False])
def test_a_block_that_ends_while_it_is_renewed(done: bool) -> None:
    async def main() -> None:
        async with opened() as (engine, stores, claim):
            gate = engine.after if done else engine.gate
            async with stores.claims.keep(claim):
                before = engine.writes
                gate.clear()
                await until(lambda: engine.writes > before)
            gate.set()
            assert await stores.claims.release(claim)

    run(main)


def test_leaving_does_not_swallow_a_cancellation() -> None:
    async def main() -> None:
        class Slow(Faulty):
            async def write(self, make: Callable[[], Script[T]]) -> T:
                try:
                    return await super().write(make)
                except asyncio.CancelledError:
                    await asyncio.sleep(0.02)  # rolling back takes its time
                    raise

        engine, left = Slow(), asyncio.Event()

        async def block(stores: MobStores, claim: Claim) -> None:
            async with stores.claims.keep(claim):
                before = engine.writes
                engine.gate.clear()
                await until(lambda: engine.writes > before)
                left.set()

        async with MobStores(engine) as stores:
            claim = await stores.claims.acquire("name", "ann", SHORT)
            assert claim is not None
            task = asyncio.create_task(block(stores, claim))
            await left.wait()
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled()
            engine.gate.set()
            await asyncio.sleep(0.05)

    run(main)


def test_cancelled_while_entering() -> None:
    async def main() -> None:
        async with opened() as (engine, stores, claim):
            engine.gate.clear()
            task = asyncio.ensure_future(stores.claims.keep(claim).__aenter__())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled()
            engine.gate.set()

    run(main)


def test_a_block_that_swallows_the_cancellation() -> None:
    async def main() -> None:
        async with opened(ttl=60) as (_, stores, claim):
            with pytest.raises(ClaimLostError):  # noqa: PT012
                async with stores.claims.keep(claim):
                    with suppress(asyncio.CancelledError):
                        await take(stores, claim)
                        await forever()
                    await asyncio.sleep(0)  # it is cancelled once
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    run(main)


def test_an_error_of_the_block_comes_first() -> None:
    async def main() -> None:
        async with opened(ttl=60) as (_, stores, claim):
            with pytest.raises(LookupError):  # noqa: PT012
                async with stores.claims.keep(claim):
                    try:
                        await take(stores, claim)
                        await forever()
                    finally:
                        raise LookupError
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    run(main)


def test_cancelled_by_others_at_the_same_time() -> None:
    async def main() -> None:
        async def block(stores: MobStores, claim: Claim) -> None:
            async with stores.claims.keep(claim):
                entered.set()
                try:
                    await forever()
                finally:
                    task.cancel()  # both at once

        async with opened(ttl=60) as (_, stores, claim):
            entered = asyncio.Event()
            task = asyncio.create_task(block(stores, claim))
            await entered.wait()
            await take(stores, claim)
            await asyncio.wait((task,))
            assert task.cancelled()

    run(main)


def test_timeouts_within_and_around() -> None:
    async def main() -> None:
        async with opened(ttl=60) as (_, stores, claim):
            async with stores.claims.keep(claim):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await forever()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), stores.claims.keep(claim):
                    await forever()
            with pytest.raises(ClaimLostError):  # noqa: PT012
                async with asyncio.timeout(60), stores.claims.keep(claim), asyncio.timeout(60):
                    await take(stores, claim)
                    await forever()

    run(main)


def test_two_blocks_and_a_task_group() -> None:
    async def main() -> None:
        async with opened(ttl=60) as (_, stores, claim):
            children: list[asyncio.Task[None]] = []
            with pytest.raises(ClaimLostError):  # noqa: PT012
                async with (
                    stores.claims.keep(claim),
                    stores.claims.keep(claim),
                    asyncio.TaskGroup() as group,
                ):
                    children += [group.create_task(forever()) for _ in range(2)]
                    await take(stores, claim)
            assert all(child.cancelled() for child in children)

    run(main)


def test_left_in_another_task() -> None:
    async def main() -> None:
        async with opened(ttl=60) as (_, stores, claim):
            block = stores.claims.keep(claim)
            await asyncio.gather(block.__aenter__())  # in a task of its own
            await take(stores, claim)
            await asyncio.sleep(0.01)
            with pytest.raises(ClaimLostError):
                await block.__aexit__(None, None, None)

    run(main)


def test_a_run_that_ends_within_the_block() -> None:
    async def main() -> None:
        async with opened() as (_, stores, _):
            await stores.runs.create_run(make_run())
            claim = await stores.runs.claim_next("ann", ttl=SHORT)
            assert claim is not None
            async with stores.claims.keep(claim):
                await stores.runs.delete_run(run_id(1))
                await asyncio.sleep(SHORT)  # it is not renewed

    run(main)


def test_a_release_by_another_process_is_a_loss() -> None:
    """Only releases of this process are announced to its blocks."""

    async def main() -> None:
        async with opened(ttl=60) as (_, stores, claim):

            async def block() -> None:
                async with stores.claims.keep(claim):
                    await stores.engine.write(lambda: claim_scripts.release(claim, None))
                    await asyncio.sleep(30)

            with pytest.raises(ClaimLostError, match="it was released"):
                await block()

    run(main)


def test_a_run_that_is_finished_without_its_claim() -> None:
    async def main() -> None:
        async with opened() as (_, stores, _):
            await stores.runs.create_run(make_run())
            claim = await stores.runs.claim_next("ann", ttl=60)
            assert claim is not None
            async with stores.claims.keep(claim):
                assert await stores.runs.finish_run(run_id(1), "failed", tagged_event("end"))
                await asyncio.sleep(0.05)

    run(main)


# Waiting for runs --------------------------------------------------------------------------------


def test_due_times_and_expiries_wake_it() -> None:
    async def main() -> None:
        async with opened() as (_, stores, _):
            await stores.runs.create_run(make_run())
            async with stores.runs.claims("ann", ttl=SHORT) as claims:
                first = await anext(claims)
                second = await anext(claims)  # once the first has expired
                assert second.epoch > first.epoch
                assert second.expires_at > first.expires_at + timedelta(seconds=SHORT)
                await stores.claims.release(second, timedelta(seconds=SHORT))
                loop = asyncio.get_running_loop()
                before = loop.time()
                assert (await anext(claims)).epoch > second.epoch
                assert loop.time() - before > SHORT * 0.8

    run(main)


@pytest.mark.parametrize("turns", range(8))
def test_a_cancelled_step_keeps_its_claim(turns: int) -> None:
    async def main() -> None:
        async with opened() as (_, stores, _):
            await stores.runs.create_run(make_run(1))
            async with stores.runs.claims("ann", ttl=60) as claims:
                step = asyncio.ensure_future(anext(claims))
                for _ in range(turns):
                    await asyncio.sleep(0)
                step.cancel()
                await asyncio.wait((step,))
                claim = await anext(claims) if step.cancelled() else step.result()
                await stores.claims.hold(claim)
            assert len(await stores.claims.list(prefix="run/")) == 1

    run(main)


@pytest.mark.parametrize("turns", range(8))
def test_the_end_releases_a_claim_that_no_task_has(turns: int) -> None:
    async def main() -> None:
        async with opened() as (_, stores, _):
            await stores.runs.create_run(make_run(1))
            claims = stores.runs.claims("ann", ttl=60)
            step = asyncio.ensure_future(anext(claims))
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.gather(claims.aclose(), claims.aclose())
            got = await asyncio.gather(step, return_exceptions=True)
            left = await stores.claims.list(prefix="run/")
            assert len(left) == (not isinstance(got[0], BaseException)), (left, got)

    run(main)


@pytest.mark.slow
def test_a_cancelled_end_still_releases() -> None:
    async def main() -> None:
        async with opened() as (engine, stores, _):
            await stores.runs.create_run(make_run(1))
            claims = stores.runs.claims("ann", ttl=60)
            engine.after.clear()
            step = asyncio.ensure_future(anext(claims))
            await until(lambda: engine.writes > 2)  # it waits after its claim was committed
            end = asyncio.ensure_future(claims.aclose())
            await asyncio.sleep(0)
            end.cancel()
            await asyncio.wait((end, step), timeout=1)
            engine.after.set()
            await asyncio.sleep(0.01)
            assert await stores.claims.list(prefix="run/") == []
            await asyncio.gather(step, return_exceptions=True)

    run(main)


def test_an_error_while_claiming_is_raised_once() -> None:
    async def main() -> None:
        async with opened() as (engine, stores, _):
            await stores.runs.create_run(make_run(1))
            async with stores.runs.claims("ann", ttl=60) as claims:
                engine.failing = 1
                with pytest.raises(WriteFailedError):
                    await anext(claims)
                assert (await anext(claims)).run.run_id == run_id(1)

    run(main)


def test_a_closed_store_ends_it() -> None:
    async def main() -> None:
        async with opened() as (engine, stores, _):
            await stores.runs.create_run(make_run(1))
            async with stores.runs.claims("ann", ttl=60) as claims:
                engine.gate.clear()
                step = asyncio.ensure_future(anext(claims))
                await asyncio.sleep(0.01)
                await stores.close()
                engine.gate.set()
                with pytest.raises(ClosedError):
                    await step

    run(main)


@pytest.mark.slow
def test_an_unreferenced_iterator_ends() -> None:
    async def main() -> None:
        async with opened() as (_, stores, _):
            claims = stores.runs.claims("ann", ttl=60)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(claims), 0.01)
            del claims
            gc.collect()
            await asyncio.sleep(0.01)

    run(main)
