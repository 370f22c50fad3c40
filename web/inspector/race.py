"""A race: several tabs compare-and-swap the flow state of one run, one state for each round.

The state holds the winners of all rounds so far. A tab wins a round by appending its name to the
state that it read. A tab that read the same state and comes later finds it changed: it has lost.
"""

from __future__ import annotations

from typing import cast
from uuid import UUID

from inspector.demo_definition import DEMO_MOB
from inspector.failures import InspectorError
from inspector.formatting import parse_json
from inspector.results import Progress
from inspector.run_results import Race
from mobstore import FlowId, KernelState, MobRun, MobStores, Stores
from mobstore.errors import NotFoundError, SerializationError
from mobstore.model.text import brief
from mobstore.scripts.tables import RUN_STATES, RUNS
from mobstore.scripts.transaction import Commit, Get, Script, fetch

RACE_FLOW = FlowId("race")

_MOST_ROUNDS = 1000
_LONGEST = 2**17  # characters of a state, which holds a name for each round


async def race_open(stores: MobStores, rounds: int) -> Race:
    """Create a run to race on.

    Raises:
        InspectorError: `rounds` is not within 1 to 1,000.
    """
    if not 1 <= rounds <= _MOST_ROUNDS:
        raise InspectorError(
            "rejected", f"A race has 1 to {_MOST_ROUNDS} rounds.", "Choose another number."
        )
    run = MobRun.pending(DEMO_MOB, RACE_FLOW, _state(()), {"rounds": rounds})

    async def start(at: Stores) -> None:
        await at.runs.create_run(run)
        await at.runs.cas_run_status(run.run_id, expected="pending", next="running")

    await stores.atomic(start)
    return await race_state(stores, str(run.run_id))


async def race_state(stores: MobStores, run_id: str) -> Race:
    """Return the winners so far.

    Raises:
        NotFoundError: the race does not exist.
    """
    rounds, state = await stores.engine.read(lambda: _read_race(run_id))
    return _race(run_id, rounds, state, won=0, lost=0)


async def race(stores: MobStores, run_id: str, who: str, progress: Progress | None) -> Race:
    """Take part until all rounds are won; report their number after each attempt.

    Raises:
        NotFoundError: the race does not exist.
    """
    key = UUID(run_id)
    won = lost = 0
    while True:
        rounds, state = await stores.engine.read(lambda: _read_race(run_id))
        winners = _winners(state)
        if progress:
            progress(len(winners), rounds)
        if len(winners) >= rounds:
            # The first tab completes the run; the swaps of the others change nothing.
            await stores.runs.cas_run_status(key, expected="running", next="completed")
            return _race(run_id, rounds, state, won=won, lost=lost)
        if await stores.runs.cas_flow_state(key, expected=state, next=_state((*winners, who))):
            won += 1
        else:
            lost += 1


def _read_race(run_id: str) -> Script[tuple[int, KernelState]]:
    run, state = yield from fetch(Get(RUNS, (run_id,)), Get(RUN_STATES, (run_id,)))
    if run is None or state is None or (run.mob_id, run.flow_id) != (DEMO_MOB, RACE_FLOW):
        raise NotFoundError(f"race not found: {brief(run_id)}")
    found = (run.activation_params, state.flow_state)
    if max(map(len, found)) <= _LONGEST:
        params, flow_state = parse_json(found[0], "a race"), KernelState.from_canonical(found[1])
        match params, flow_state.fields:
            case {"rounds": int(rounds)}, {"winners": tuple(winners)} if len(
                winners
            ) <= rounds <= _MOST_ROUNDS and all(isinstance(winner, str) for winner in winners):
                return Commit((rounds, flow_state))
            case _:
                pass
    raise SerializationError(f"run {brief(run_id)} cannot be read as a race")


def _state(winners: tuple[str, ...]) -> KernelState:
    return KernelState("Racing", {"winners": winners})


def _winners(state: KernelState) -> tuple[str, ...]:
    return cast("tuple[str, ...]", state.fields["winners"])


def _race(run_id: str, rounds: int, state: KernelState, *, won: int, lost: int) -> Race:
    winners = _winners(state)
    return {
        "run_id": run_id,
        "rounds": rounds,
        "winners": list(winners),
        "won": won,
        "lost": lost,
        "over": len(winners) >= rounds,
    }
