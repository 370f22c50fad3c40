"""The state machine: random calls on all four stores, against an oracle of plain dicts.

The oracle is written from the contract and shares no code with the package. Kernel states are
names of a pool with several spellings each; times are texts of the machine's own clock. No rule
knows an engine; a `Subject` does.
"""

from __future__ import annotations

from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant

from mobstore import MobStores
from state_machine.consumers import Consumers
from state_machine.endings import Endings
from state_machine.frames import Frames
from state_machine.openings import Openings
from state_machine.oracle import plain, run_document, typed
from state_machine.pools import MOBS, NAMES, RUN_IDS
from state_machine.specs import Specs


class Machine(Openings, Frames, Endings, Specs, Consumers):
    """All rules, and the comparison of the whole store after each."""

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
        await self.check_claims(stores)
        await self.check_consumers(stores)
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
