"""A race: several tabs claim one run, round after round.

A tab that has the claim wins a round: it appends its name and its epoch to the state of the run,
fenced by the claim, then releases the claim. In every tenth attempt it freezes for longer than the
claim lasts. Another tab then claims the run and wins the round, and the fence rejects the write of
the tab that has lost its claim.
"""

from __future__ import annotations

import asyncio
from random import random
from typing import NamedTuple, cast
from uuid import UUID

from inspector.claims import claim_state
from inspector.demo_definition import DEMO_MOB
from inspector.failures import InspectorError
from inspector.formatting import parse_json
from inspector.results import ClaimState, Progress
from inspector.run_results import Race
from mobstore import (
    Claim,
    ClaimLostError,
    FlowCompleted,
    FlowId,
    KernelState,
    MobRun,
    MobStores,
    NewMobEvent,
    RunId,
    Stores,
    run_claim_name,
)
from mobstore.errors import NotFoundError, SerializationError
from mobstore.model.text import brief
from mobstore.scripts.tables import RUN_CLAIMS, RUN_STATES, RUNS
from mobstore.scripts.transaction import Commit, Get, Now, Script, fetch

RACE_FLOW = FlowId("race")

_MOST_ROUNDS = 1000
_TTL = 0.2  # seconds
_FREEZES_IN = 10  # attempts
_FROZEN = 0.3  # seconds, longer than a claim lasts
_PAUSE = 0.02  # seconds between two attempts, at most
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
    run = MobRun.pending(DEMO_MOB, RACE_FLOW, _state((), ()), {"rounds": rounds})

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
    stored = await stores.engine.read(lambda: _read_race(run_id))
    return _race(run_id, stored, won=0, fenced=0)


async def race(stores: MobStores, run_id: str, who: str, progress: Progress | None) -> Race:
    """Take part until all rounds are won; report their number after each attempt.

    Raises:
        NotFoundError: the race does not exist.
    """
    won = fenced = claimed = 0
    while True:
        stored = await stores.engine.read(lambda: _read_race(run_id))
        if progress:
            progress(len(stored.winners), stored.rounds)
        if stored.over:
            return _race(run_id, stored, won=won, fenced=fenced)
        claim = await stores.claims.acquire(run_claim_name(run_id), who, _TTL)
        if claim is not None:
            claimed += 1
            if claimed % _FREEZES_IN == 0:
                await asyncio.sleep(_FROZEN)
            try:
                won += await _win(stores, claim, run_id)
            except ClaimLostError:
                fenced += 1
            await stores.claims.release(claim)
        await asyncio.sleep(_PAUSE * random())  # noqa: S311 - the others have their chance


async def _win(stores: MobStores, claim: Claim, run_id: str) -> bool:
    """Win a round; the last one ends the run. Return False if all are won.

    Raises:
        ClaimLostError: another tab has the claim; nothing was written.
    """
    key = UUID(run_id)
    rounds, state, _ = stored = await stores.engine.read(lambda: _read_race(run_id))
    if stored.over:
        return False
    after = _state((*stored.winners, claim.holder), (*stored.epochs, claim.epoch))
    ended = NewMobEvent(mob_id=DEMO_MOB, kind=FlowCompleted(run_id=RunId(key), flow_id=RACE_FLOW))

    async def work(at: Stores) -> None:
        await at.runs.cas_flow_state(key, expected=state, next=after)
        if len(stored.winners) + 1 == rounds:
            await at.runs.finish_run(key, "completed", ended, claim=claim)

    await stores.atomic(work, claim=claim)
    return True


class _Stored(NamedTuple):
    """A race as stored: the number of its rounds, its state, and the claim on it."""

    rounds: int
    state: KernelState
    claim: ClaimState | None

    @property
    def winners(self) -> tuple[str, ...]:
        return cast("tuple[str, ...]", self.state.fields["winners"])

    @property
    def epochs(self) -> tuple[int, ...]:
        return cast("tuple[int, ...]", self.state.fields["epochs"])

    @property
    def over(self) -> bool:
        return len(self.winners) >= self.rounds


def _read_race(run_id: str) -> Script[_Stored]:
    of_run = (run_id,)
    run, state = yield from fetch(Get(RUNS, of_run), Get(RUN_STATES, of_run))
    if run is None or state is None or (run.mob_id, run.flow_id) != (DEMO_MOB, RACE_FLOW):
        raise NotFoundError(f"race not found: {brief(run_id)}")
    claim, now = yield from fetch(Get(RUN_CLAIMS, of_run), Now())
    found = (run.activation_params, state.flow_state)
    if max(map(len, found)) <= _LONGEST:
        params, flow_state = parse_json(found[0], "a race"), KernelState.from_canonical(found[1])
        match params, flow_state.fields:
            case {"rounds": int(rounds)}, {
                "winners": tuple(winners),
                "epochs": tuple(epochs),
            } if (
                len(epochs) == len(winners) <= rounds <= _MOST_ROUNDS
                and all(isinstance(winner, str) for winner in winners)
                and all(isinstance(epoch, int) for epoch in epochs)
            ):
                return Commit(_Stored(rounds, flow_state, claim_state(claim, now)))
            case _:
                pass
    raise SerializationError(f"run {brief(run_id)} cannot be read as a race")


def _state(winners: tuple[str, ...], epochs: tuple[int, ...]) -> KernelState:
    return KernelState("Racing", {"winners": winners, "epochs": epochs})


def _race(run_id: str, stored: _Stored, *, won: int, fenced: int) -> Race:
    return {
        "run_id": run_id,
        "rounds": stored.rounds,
        "winners": list(stored.winners),
        "epochs": list(map(str, stored.epochs)),
        "claim": stored.claim,
        "won": won,
        "fenced": fenced,
        "over": stored.over,
    }
