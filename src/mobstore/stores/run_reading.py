"""Flow runs on an engine: what reads them."""

from __future__ import annotations

from uuid import UUID

from mobstore.arguments import choice, number, run_key, text
from mobstore.errors import InternalError
from mobstore.interfaces import MobRunReader, Subscription
from mobstore.model.run import (
    FailureLedgerEntry,
    LoopIterationLedgerEntry,
    MobRun,
    MobRunStatus,
    RunHeader,
    StepLedgerEntry,
)
from mobstore.operations import run_reading
from mobstore.operations.run_reading import Selection
from mobstore.rows.runs import RUN_STATUSES
from mobstore.stores.base import EngineStore
from mobstore.stores.live import RunFollower


class EngineRunReader(EngineStore, MobRunReader):
    """Flow runs on an engine, to be read."""

    async def get_run(self, run_id: UUID | str) -> MobRun | None:
        key = run_key(run_id)
        return await self._engine.read(lambda: run_reading.get_run(key))

    async def list_runs(
        self,
        mob_id: str | None = None,
        flow_id: str | None = None,
        *,
        status: MobRunStatus | None = None,
        after: UUID | str | None = None,
        limit: int | None = None,
    ) -> list[MobRun]:
        selected = _selection(mob_id, flow_id, status, after, limit)
        return await self._engine.read(lambda: run_reading.list_runs(selected))

    async def get_run_header(self, run_id: UUID | str) -> RunHeader | None:
        key = run_key(run_id)
        return await self._engine.read(lambda: run_reading.get_run_header(key))

    async def run_headers(
        self,
        mob_id: str | None = None,
        flow_id: str | None = None,
        *,
        status: MobRunStatus | None = None,
        after: UUID | str | None = None,
        limit: int | None = None,
    ) -> list[RunHeader]:
        selected = _selection(mob_id, flow_id, status, after, limit)
        return await self._engine.read(lambda: run_reading.run_headers(selected))

    async def step_entries(
        self, run_id: UUID | str, *, start: int = 0, limit: int | None = None
    ) -> list[StepLedgerEntry]:
        page = _page(run_id, start, limit)
        return await self._engine.read(lambda: run_reading.step_entries(*page))

    async def failure_entries(
        self, run_id: UUID | str, *, start: int = 0, limit: int | None = None
    ) -> list[FailureLedgerEntry]:
        page = _page(run_id, start, limit)
        return await self._engine.read(lambda: run_reading.failure_entries(*page))

    async def loop_iteration_entries(
        self, run_id: UUID | str, *, start: int = 0, limit: int | None = None
    ) -> list[LoopIterationLedgerEntry]:
        page = _page(run_id, start, limit)
        return await self._engine.read(lambda: run_reading.loop_iteration_entries(*page))

    def watch(self, run_id: UUID | str) -> Subscription[RunHeader]:
        return RunFollower(self._engine, run_key(run_id))


def _selection(
    mob_id: str | None,
    flow_id: str | None,
    status: str | None,
    after: UUID | str | None,
    limit: int | None,
) -> Selection:
    if mob_id is None and flow_id is not None:
        raise InternalError("flows are named within a mob; give mob_id, too")
    return Selection(
        None if mob_id is None else text(mob_id, "mob_id"),
        None if flow_id is None else text(flow_id, "flow_id"),
        None if status is None else choice(status, RUN_STATUSES, "status"),
        None if after is None else run_key(after),
        None if limit is None else number(limit, "limit"),
    )


def _page(run_id: UUID | str, start: int, limit: int | None) -> tuple[str, int, int | None]:
    return (
        run_key(run_id), number(start, "start"), None if limit is None else number(limit, "limit"),
    )  # fmt: skip
