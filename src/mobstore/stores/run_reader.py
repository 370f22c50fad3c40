"""Flow runs on an engine: what reads them."""

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
    """What can be asked about flow runs.

    Only `get_run` and `list_runs` without a status, `after` or `limit` are in the reference. What
    a question costs depends on what it returns, not on what else is stored. A run's id may be given
    as text, here and in `MobRunStore`.
    """

    async def get_run(self, run_id: UUID | str) -> MobRun | None:
        """The run with all its ledgers, frames, loops and outputs, or None.

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
        """The runs of a mob, or of one of its flows, in the order of their creation.

        Args:
            mob_id: the mob; None: those of all mobs.
            flow_id: only runs of this flow of the mob.
            status: only runs in this status.
            after: only runs created after this one, which may be of any mob and status: the last
                of the page before.
            limit: at most so many, 0 to 2**63 - 1.

        Raises:
            NotFoundError: there is no run `after`.
            UsageError: `limit` is out of range, or a flow is given without its mob.

        Contract: runs.list.order, runs.list.filter, runs.list.pages, runs.list.all-mobs.
        """
        selected = _selection(mob_id, flow_id, status, after, limit)
        return await self._engine.read(lambda: run_reading.list_runs(selected))

    async def get_run_header(self, run_id: UUID | str) -> RunHeader | None:
        """The run without its states, ledgers and outputs, or None.

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
        """As `list_runs`, but without what runs hold.

        Contract: runs.headers, runs.list.pages.
        """
        selected = _selection(mob_id, flow_id, status, after, limit)
        return await self._engine.read(lambda: run_reading.run_headers(selected))

    async def step_entries(
        self, run_id: UUID | str, *, start: int = 0, limit: int | None = None
    ) -> list[StepLedgerEntry]:
        """A page of the step ledger, in the order of appending.

        Args:
            run_id: the run.
            start: how many entries to leave out, 0 to 2**63 - 1.
            limit: at most so many, 0 to 2**63 - 1; None: all that follow.

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
        """A page of the failure ledger; as `step_entries`.

        Contract: runs.ledger.pages, runs.ledger.missing.
        """
        page = _page(run_id, start, limit)
        return await self._engine.read(lambda: run_reading.failure_entries(*page))

    async def loop_iteration_entries(
        self, run_id: UUID | str, *, start: int = 0, limit: int | None = None
    ) -> list[LoopIterationLedgerEntry]:
        """A page of the loop iteration ledger; as `step_entries`.

        Contract: runs.ledger.pages, runs.ledger.missing.
        """
        page = _page(run_id, start, limit)
        return await self._engine.read(lambda: run_reading.loop_iteration_entries(*page))

    def watch(self, run_id: UUID | str) -> Subscription[RunHeader]:
        """Follow a run's status: its header now, and again whenever the status has changed.

        Ends after a terminal status, and when the run is deleted. Of changes that follow each
        other faster than the caller asks, only the last is seen. To be used as `subscribe` of
        the event log, and with its errors.

        Raises:
            NotFoundError: there is no such run; told by the first step.

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
        raise UsageError("flows are named within a mob; give mob_id, too")
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
