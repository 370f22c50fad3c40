"""Flow runs on an engine: reading."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias, get_args
from uuid import UUID

from pydantic import JsonValue

from mobstore.codec.arguments import check_flags, choice, mob_and_flow, number, text, to_timestamp
from mobstore.codec.runs import RUN_STATUSES, run_id_start, run_key
from mobstore.errors import UsageError
from mobstore.model.run import (
    FailureLedgerEntry,
    LoopIterationLedgerEntry,
    MobRun,
    MobRunStatus,
    RunHeader,
    StepLedgerEntry,
)
from mobstore.model.timestamp import Timestamp
from mobstore.operations import run_counts, run_reading
from mobstore.operations.run_selection import Selection
from mobstore.stores.base import EngineStore
from mobstore.stores.subscription import RunSubscription, Subscription

RunColumn: TypeAlias = Literal["mob_id", "flow_id", "status"]
_COLUMNS = frozenset[str](get_args(RunColumn))


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

    async def get_run_extra(self, run_id: UUID | str) -> Mapping[str, JsonValue] | None:
        """Return what an import kept of a run that `MobRun` has no fields for; None if nothing.

        It has the keys of the run's JSON: `flow_definition_digest` of 0.8, or `failure_ledger` with
        an object by position, such as `{"3": {"error": …}}`. It stays as long as the run.

        Contract: runs.extra.
        """
        key = run_key(run_id)
        return await self._engine.read(lambda: run_reading.get_run_extra(key))

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
        newest_first: bool = False,
        ended_since: Timestamp | datetime | None = None,
        unclaimed: bool = False,
    ) -> list[RunHeader]:
        """Return the headers of runs, in the order of their creation, or of their end.

        With `ended_since`, runs are in the order of `completed_at`, and those that ended at the
        same time in the order of their creation. The cost then grows with the runs of all mobs that
        ended since that time; with `unclaimed`, also with the held runs. Memory does not.

        Args:
            mob_id: the mob; None: all mobs.
            flow_id: only runs of this flow of the mob.
            status: only runs in this status.
            after: only runs that come after this one, such as the last run of the previous page;
                with `newest_first`, those created or ended before it.
            limit: the maximum number of runs, 0 to 2**63 - 1; None: all.
            newest_first: return the runs created last, or ended last, first.
            ended_since: only runs that ended at this time or later. Runs that were added as ended,
                but without `completed_at`, are not among them.
            unclaimed: only runs that have not ended and are not held: no worker has claimed them,
                or their claims were released or have expired.

        Raises:
            NotFoundError: the run `after` does not exist.
            UsageError: `limit` is out of range, a flow is passed without its mob, `ended_since` is
                a naive datetime, or the run `after` has not ended though the order is that of ends.

        Contract: runs.headers, runs.list.pages, runs.headers.newest-first,
        runs.headers.ended-since, runs.headers.unclaimed.
        """
        check_flags(newest_first=newest_first, unclaimed=unclaimed)
        since = None if ended_since is None else to_timestamp(ended_since, "ended_since").sortable
        selected = _selection(mob_id, flow_id, status, after, limit)._replace(
            newest_first=newest_first, ended_since=since, unclaimed=unclaimed
        )
        return await self._engine.read(lambda: run_reading.run_headers(selected))

    async def counts(
        self,
        by: Sequence[RunColumn] = ("mob_id", "flow_id", "status"),
        *,
        mob_id: str | None = None,
    ) -> dict[tuple[str, ...], int]:
        """Count runs by mob, flow and status, by an index.

            {("desk", "daily", "completed"): 12, ("desk", "daily", "running"): 1}

        The cost grows with the number of mobs and flows, each of which takes a short read, and with
        the entries of the index that are counted.

        Args:
            by: one or more of "mob_id", "flow_id" and "status", in the order of the keys.
            mob_id: only runs of this mob; None: of all mobs.

        Returns:
            The number of runs by key, sorted; groups without runs are left out.

        Raises:
            UsageError: `by` is empty, or names another column, or one twice.

        Contract: runs.counts.
        """
        columns = _columns(by)
        mob = None if mob_id is None else text(mob_id, "mob_id")
        return await self._engine.read(lambda: run_counts.count_runs(columns, mob))

    async def find_run_ids(self, prefix: str, limit: int = 2) -> list[UUID]:
        """Return the ids of runs that start with some digits, in their order.

        Two results mean that the prefix is ambiguous.

        Args:
            prefix: the first hexadecimal digits, in any case, with or without hyphens.
            limit: the maximum number of ids, 0 to 2**63 - 1.

        Raises:
            UsageError: no id can start so, or `limit` is out of range.

        Contract: runs.find-ids.
        """
        start, most = run_id_start(prefix), number(limit, "limit")
        return await self._engine.read(lambda: run_reading.find_run_ids(start, most))

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
    return Selection(
        *mob_and_flow(mob_id, flow_id),
        None if status is None else choice(status, RUN_STATUSES, "status"),
        None if after is None else run_key(after),
        None if limit is None else number(limit, "limit"),
    )


def _columns(by: Collection[str]) -> tuple[str, ...]:
    columns = () if isinstance(by, str) or not isinstance(by, Collection) else tuple(by)
    if not columns or len(set(map(str, columns))) < len(columns):
        raise UsageError("by must be one or more of mob_id, flow_id, status, each once")
    return tuple(choice(column, _COLUMNS, "a column of by") for column in columns)


def _page(run_id: UUID | str, start: int, limit: int | None) -> tuple[str, int, int | None]:
    return (
        run_key(run_id), number(start, "start"), None if limit is None else number(limit, "limit"),
    )  # fmt: skip
