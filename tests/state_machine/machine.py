"""The state machine: random calls on all four stores, against an oracle of plain dicts.

The oracle is written from the contract and shares no code with the package. Kernel states are
names of a pool with several spellings each; times are texts of the machine's own clock. No rule
knows an engine; a `Subject` does.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, rule

import mobstore
from mobstore import MobStores, StepLedgerEntry
from state_machine.frames import Frames
from state_machine.openings import Openings
from state_machine.oracle import Refusal, plain, run_document, typed
from state_machine.pools import (
    KINDS,
    MOBS,
    NAMES,
    RUN_IDS,
    TIMES,
    mobs,
    runs,
    state,
    states,
    step_ids,
)
from state_machine.reads import Reads
from state_machine.runs import Runs
from state_machine.specs import Specs


class Machine(Openings, Runs, Frames, Reads, Specs):
    """All rules, and the comparison of the whole store after each."""

    @rule(run_id=runs, before=states, after=states, step=step_ids, mob=mobs)
    def atomic(self, run_id: str, before: str, after: str, step: str, mob: str) -> None:
        """Append to a ledger and to the log, if the flow state is as expected; all or nothing."""
        entry = {"step_id": step, "meerkat_id": "w-1", "status": "completed", "output": 1}
        entry["timestamp"] = TIMES[0]
        run = self.runs.get(run_id)
        expected: Any = self.missing(run_id)
        if run is not None and run["flow_state"] != before:
            detail = f"operation 3 was refused: run {run_id} has another flow state"
            expected = Refusal("RefusedError", f"CAS conflict: {detail}")
        cursor = self.next_cursor
        event = self._event(mob, KINDS[0], TIMES[1])
        if run is not None and expected is None:
            run["step_ledger"].append(entry)
            run["flow_state"] = after
            expected = cursor
        else:
            self.events.pop()
            self.next_cursor = cursor

        async def both(at: mobstore.Stores) -> int:
            appended = await at.events.append(event)
            await at.runs.append_step_entry(
                UUID(run_id), StepLedgerEntry.from_json(json.dumps(entry))
            )
            await at.runs.cas_flow_state(UUID(run_id), expected=state(before), next=state(after))
            return appended.cursor

        self.same(self.stores.atomic(both), expected)

    @invariant()
    def everything_is_as_the_oracle_says(self) -> None:
        self.runner.run(self._check())

    async def _check(self) -> None:
        for stores in (self.stores, *self.others, *self.readers):
            assert typed(plain(await stores.events.replay_all())) == typed(self.events)
            assert await stores.events.latest_cursor() == self.next_cursor - 1
        for stores in (self.stores, *self.readers[-1:]):
            await self._check_all(stores)

    async def _check_all(self, stores: MobStores) -> None:
        for run_id in RUN_IDS:
            found = await stores.runs.get_run(UUID(run_id))
            stored = self.runs.get(run_id)
            assert typed(plain(found)) == typed(None if stored is None else run_document(stored))
        for mob in MOBS:
            listed = [str(run.run_id) for run in await stores.runs.list_runs(mob)]
            assert listed == [id_ for id_, run in self.runs.items() if run["mob_id"] == mob]
            spec = await stores.specs.get_spec(mob)
            assert typed(plain(spec)) == typed(self.specs.get(mob))
        assert await stores.specs.list_specs() == sorted(self.specs, key=str.encode)
        by_name = [self.profiles[name] for name in sorted(self.profiles, key=str.encode)]
        assert typed(plain(await stores.realm_profiles.list())) == typed(by_name)
        for name in NAMES:
            one = await stores.realm_profiles.get(name)
            assert typed(plain(one)) == typed(self.profiles.get(name))


def profile_of(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=70,
        # Explaining a failure takes minutes when each step reads everything.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
        deadline=None,
    )
