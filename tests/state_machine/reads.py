"""Rules of lists and pages of runs, and of retention."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from mobstore import Timestamp
from state_machine.oracle import NOT_FOUND, USAGE, Oracle, run_document
from state_machine.pools import FLOWS, RUN_IDS, STATUSES, TIMES, mobs, runs
from state_machine.times import to_nanoseconds


class Reads(Oracle):
    """Rules of lists and pages of runs, and of retention."""

    @rule(mob=mobs, flow=st.none() | st.sampled_from(FLOWS))
    def list_runs(self, mob: str, flow: str | None) -> None:
        expected = [
            run_document(run)
            for run in self.runs.values()
            if run["mob_id"] == mob and (flow is None or run["flow_id"] == flow)
        ]
        self.same(self.stores.runs.list_runs(mob, flow), expected)

    @rule(
        mob=st.none() | mobs,
        flow=st.none() | st.sampled_from(FLOWS),
        status=st.none() | st.sampled_from(STATUSES),
        after=st.none() | runs,
        limit=st.none() | st.integers(0, 2),
        newest_first=st.booleans(),
        since=st.none() | st.sampled_from(TIMES),
        unclaimed=st.booleans(),
    )
    def run_headers(
        self,
        *,
        mob: str | None,
        flow: str | None,
        status: Any,
        after: str | None,
        limit: int | None,
        newest_first: bool,
        since: str | None,
        unclaimed: bool,
    ) -> None:
        flow = None if mob is None else flow
        order = list(self.runs)
        ends = {
            run_id: to_nanoseconds(run["completed_at"])
            for run_id, run in self.runs.items()
            if run["status"] in STATUSES[2:] and run["completed_at"] is not None
        }
        if since is not None:
            order = sorted((run_id for run_id in order if run_id in ends), key=ends.__getitem__)
        if newest_first:
            order.reverse()
        expected: Any = None
        if after is not None and after not in self.runs:
            expected = self.refusal(NOT_FOUND, f"`after` names a run that does not exist: {after}")
        elif after is not None and after not in order:
            expected = self.refusal(USAGE, f"`after` names a run that has not ended: {after}")
        else:
            start = 0 if after is None else order.index(after) + 1
            expected = [
                self.header_document(run_id)
                for run_id in order[start:]
                if mob in {None, self.runs[run_id]["mob_id"]}
                and flow in {None, self.runs[run_id]["flow_id"]}
                and status in {None, self.runs[run_id]["status"]}
                and (since is None or ends[run_id] >= to_nanoseconds(since))
                and not (unclaimed and self._is_ended_or_held(run_id))
            ][:limit]
        call = self.stores.runs.run_headers(
            mob,
            flow,
            status=status,
            after=after,
            limit=limit,
            newest_first=newest_first,
            ended_since=None if since is None else Timestamp(since),
            unclaimed=unclaimed,
        )
        self.same(call, expected)

    def _is_ended_or_held(self, run_id: str) -> bool:
        if self.runs[run_id]["status"] in STATUSES[2:]:
            return True
        claim = self.claims[f"run/{run_id}"]
        return bool(claim["holder"] and claim["due"] > to_nanoseconds(self.subject.now))

    @rule(
        by=st.lists(st.sampled_from(["mob_id", "flow_id", "status"]), min_size=1, unique=True),
        mob=st.none() | mobs,
    )
    def counts(self, by: list[Any], mob: str | None) -> None:
        keys = [
            tuple(run[column] for column in by)
            for run in self.runs.values()
            if mob in {None, run["mob_id"]}
        ]
        expected = [[list(key), keys.count(key)] for key in sorted(set(keys))]

        async def counted() -> list[Any]:
            return list((await self.stores.runs.counts(by, mob_id=mob)).items())

        self.same(counted(), expected)

    @rule(
        prefix=st.sampled_from(["", "00000000-0", "1", *RUN_IDS, RUN_IDS[1].replace("-", "")]),
        limit=st.integers(0, 2),
    )
    def find_run_ids(self, prefix: str, limit: int) -> None:
        digits = prefix.replace("-", "")
        found = [run_id for run_id in self.runs if run_id.replace("-", "").startswith(digits)]

        async def ids() -> list[str]:
            return [str(run_id) for run_id in await self.stores.runs.find_run_ids(prefix, limit)]

        self.same(ids(), sorted(found)[:limit])

    @rule(run_id=runs, start=st.integers(0, 3), limit=st.none() | st.integers(0, 2))
    def step_entries(self, run_id: str, start: int, limit: int | None) -> None:
        stop = None if limit is None else start + limit
        expected: Any = self.missing(run_id)
        if expected is None:
            expected = run_document(self.runs[run_id])["step_ledger"][start:stop]
        call = self.stores.runs.step_entries(UUID(run_id), start=start, limit=limit)
        self.same(call, expected)

    @rule(run_id=runs)
    def delete_run(self, run_id: str) -> None:
        expected = run_id in self.runs
        if expected:
            self.remove_run(run_id)
        self.same(self.stores.runs.delete_run(UUID(run_id)), expected)

    @rule(time=st.sampled_from(TIMES), status=st.sampled_from(STATUSES))
    def prune_runs(self, time: str, status: Any) -> None:
        doomed = [
            run_id
            for run_id, run in self.runs.items()
            if run["status"] == status
            and run["completed_at"] is not None
            and to_nanoseconds(run["completed_at"]) < to_nanoseconds(time)
        ]
        for run_id in doomed:
            self.remove_run(run_id)
        self.same(self.stores.runs.prune_runs(Timestamp(time), status), len(doomed))
