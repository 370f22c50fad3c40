"""Flow runs on an engine: reading."""

from __future__ import annotations

from uuid import UUID

from mobstore.codec.arguments import choice, number, text
from mobstore.codec.runs import RUN_STATUSES, run_key
from mobstore.errors import UsageError
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
from mobstore.stores.base import EngineStore
from mobstore.stores.subscription import RunSubscription, Subscription


class MobRunReader(EngineStore):
    """The methods of `MobRunStore` that read flow runs.

    The reference has only `get_run`, and `list_runs` without a status, `after` or `limit`. The cost
    of a call depends on its result, not on the rest of the store. A run's id may be passed as text,
    here and in `MobRunStore`.
    """

    async def get_run(self, run_id: UUID | str) -> MobRun | None:
        """Return the run with all its ledgers, frames, loops and outputs, or None.

        Contract: runs.create.round-trip, runs.get.missing.
        """
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
        """Return the runs of a mob, or of one of its flows, in the order of their creation.

        Args:
            mob_id: the mob; None: all mobs.
            flow_id: only runs of this flow of the mob.
            status: only runs in this status.
            after: only runs created after this one, such as the last run of the previous page. It
                may have any mob and status.
            limit: the maximum number of runs, 0 to 2**63 - 1; None: all.

        Raises:
            NotFoundError: the run `after` does not exist.
            UsageError: `limit` is out of range, or a flow is passed without its mob.

        Contract: runs.list.order, runs.list.filter, runs.list.pages, runs.list.all-mobs.
        """
        selected = _selection(mob_id, flow_id, status, after, limit)
        return await self._engine.read(lambda: run_reading.list_runs(selected))

    async def get_run_header(self, run_id: UUID | str) -> RunHeader | None:
        """Return the run without its states, ledgers and outputs, or None.

        Contract: runs.headers.
        """
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
        """Return the headers of the runs that `list_runs` would return.

        Contract: runs.headers, runs.list.pages.
        """
        selected = _selection(mob_id, flow_id, status, after, limit)
        return await self._engine.read(lambda: run_reading.run_headers(selected))

    async def step_entries(
        self, run_id: UUID | str, *, start: int = 0, limit: int | None = None
    ) -> list[StepLedgerEntry]:
        """Return a page of the step ledger, in the order of appending.

        Args:
            run_id: the run.
            start: the number of entries to skip, 0 to 2**63 - 1.
            limit: the maximum number of entries, 0 to 2**63 - 1; None: all.

        Raises:
            NotFoundError: there is no such run.
            UsageError: `start` or `limit` is out of range.

        Contract: runs.ledger.pages, runs.ledger.missing.
        """
        page = _page(run_id, start, limit)
        return await self._engine.read(lambda: run_reading.step_entries(*page))

    async def failure_entries(
        self, run_id: UUID | str, *, start: int = 0, limit: int | None = None
    ) -> list[FailureLedgerEntry]:
        """Return a page of the failure ledger, like `step_entries`.

        Contract: runs.ledger.pages, runs.ledger.missing.
        """
        page = _page(run_id, start, limit)
        return await self._engine.read(lambda: run_reading.failure_entries(*page))

    async def loop_iteration_entries(
        self, run_id: UUID | str, *, start: int = 0, limit: int | None = None
    ) -> list[LoopIterationLedgerEntry]:
        """Return a page of the loop iteration ledger, like `step_entries`.

        Contract: runs.ledger.pages, runs.ledger.missing.
        """
        page = _page(run_id, start, limit)
        return await self._engine.read(lambda: run_reading.loop_iteration_entries(*page))

    def watch(self, run_id: UUID | str) -> Subscription[RunHeader]:
        """Subscribe to a run's status: its header now, and again after each change of the status.

        The subscription ends after a terminal status, and when the run is deleted. If the status
        changes several times between two steps, only the last change is seen. Usage and errors
        are those of `MobEventStore.subscribe`.

        Raises:
            NotFoundError: there is no such run; raised by the first step.

        Contract: runs.watch, events.subscribe.others.
        """
        return RunSubscription(self._engine, run_key(run_id))


def _selection(
    mob_id: str | None,
    flow_id: str | None,
    status: str | None,
    after: UUID | str | None,
    limit: int | None,
) -> Selection:
    if mob_id is None and flow_id is not None:
        raise UsageError("flow names belong to a mob; pass mob_id, too")
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
