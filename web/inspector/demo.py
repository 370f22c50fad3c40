"""The demo in the stores: a run is started, and moved on one commit at a time.

A move changes states, ledgers, outputs and events. A reload must not leave half of it: it is one
atomic call, and if one of its comparisons fails, nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import combinations
from typing import cast
from uuid import UUID, uuid4

from inspector.demo_move import make
from inspector.demo_play import (
    DEMO_FLOW,
    DEMO_MOB,
    Play,
    States,
    Swap,
    definition,
    first_state,
)
from inspector.failures import RefusedError
from inspector.pieces import walk
from inspector.shapes import DemoMove, DemoRun, RunStatus
from inspector.texts import compact, plain
from mobstore import (
    FlowStarted,
    KernelState,
    KernelValue,
    MeerkatId,
    MeerkatSpawned,
    MobCreated,
    MobEventKind,
    MobRun,
    MobStores,
    NamedVariant,
    NewMobEvent,
    NotFoundError,
    PeersWired,
    ProfileName,
    SessionId,
    SessionMember,
    Stores,
    Timestamp,
    is_terminal,
)
from mobstore.model.text import brief
from mobstore.scripts.tables import (
    FRAMES,
    LOOPS,
    RUN_STATES,
    RUNS,
    RUNS_BY_FLOW,
    FrameRow,
    LoopRow,
)
from mobstore.scripts.transaction import Commit, Get, Scan, Script, fetch

_ROLES = {"editor-1": "editor", "writer-1": "writer", "critic-1": "critic"}
_RUNS_BACK = 20
_MOST_PARTS = 100  # frames of a run, and loops
_LARGEST = 2**20  # characters of their states

_play = lru_cache(maxsize=4)(Play)


async def demo_state(stores: MobStores) -> DemoRun:
    """The newest run among the last twenty that can go on, if there is one."""
    for run_id in await stores.engine.read(_unfinished):
        try:
            return await _demo_run(stores, run_id)
        except RefusedError:
            continue  # of another version of the demo
    return _told(None, 0, "pending")


async def demo_start(stores: MobStores) -> DemoRun:
    """Make a new run, and the demo's mob if there is none yet."""
    run = MobRun.pending(DEMO_MOB, DEMO_FLOW, first_state(), {"topic": "tides"})
    started = FlowStarted(run_id=run.run_id, flow_id=run.flow_id, params=run.activation_params)
    of_mob = _mob_events()

    async def start(at: Stores) -> None:
        await at.runs.create_run(run)
        kinds: list[MobEventKind] = [started]
        if await at.specs.get_spec(DEMO_MOB) is None:
            await at.specs.put_spec(DEMO_MOB, definition())
            kinds = [*of_mob, started]
        await at.events.append_batch([NewMobEvent(mob_id=DEMO_MOB, kind=kind) for kind in kinds])

    await stores.atomic(start)
    return await _demo_run(stores, str(run.run_id))


async def demo_move(stores: MobStores, run_id: str) -> DemoMove:
    """Make the next move of a run, unless another tab makes it first.

    Raises:
        NotFoundError: there is no such run of the demo.
        RefusedError: the run is of another version of the demo.
    """
    place, _ = await _place(stores, run_id)
    moves = _play(UUID(run_id)).moves
    if place == len(moves):
        return {
            "won": False, "what": "", "method": "", "compared": [], "swapped": [], "events": [],
            "demo": await _demo_run(stores, run_id),
        }  # fmt: skip
    move = moves[place]
    cursors = await make(stores, UUID(run_id), move, Timestamp.now())
    swaps = [swap for swap in (move.flow, move.frame, move.loop) if swap]
    told = [_in_words(swap, run_id) for swap in swaps if swap.before != swap.after]
    return {
        "won": cursors is not None,
        "what": move.what,
        "method": move.method,
        "compared": [before for before, _ in told],
        "swapped": [after for _, after in told],
        "events": cursors or [],
        "demo": await _demo_run(stores, run_id),
    }


# Scripts ---------------------------------------------------------------------------------------


def _unfinished() -> Script[list[str]]:
    found = yield from fetch(
        Scan(RUNS_BY_FLOW, (DEMO_MOB, DEMO_FLOW), limit=_RUNS_BACK, backwards=True)
    )
    return Commit([run.run_id for run in found if not is_terminal(run.status)])


def _standing(run_id: str) -> Script[States]:
    of_run = (run_id,)
    run, state = yield from fetch(Get(RUNS, of_run), Get(RUN_STATES, of_run))
    if run is None or state is None or (run.mob_id, run.flow_id) != (DEMO_MOB, DEMO_FLOW):
        raise NotFoundError(f"demo run not found: {brief(run_id)}")
    # A run of the demo has a few of each, and small ones.
    frames = yield from walk(FRAMES, of_run, _frame, most=_MOST_PARTS, size=_LARGEST)
    loops = yield from walk(LOOPS, of_run, _loop, most=_MOST_PARTS, size=_LARGEST)
    return Commit(
        (
            run.status,
            state.flow_state,
            frozenset(frames),
            frozenset(loops),
        )
    )


def _frame(row: FrameRow) -> tuple[str, str]:
    return row.frame_id, row.kernel_state


def _loop(row: LoopRow) -> tuple[str, str]:
    return row.loop_instance_id, row.kernel_state


# Events of a new mob ---------------------------------------------------------------------------


def _mob_events() -> list[MobEventKind]:
    members = [MeerkatId(member) for member in _ROLES]
    return [
        MobCreated(definition=definition()),
        *(
            MeerkatSpawned(
                meerkat_id=member,
                role=ProfileName(_ROLES[member]),
                member_ref=SessionMember(session_id=SessionId(uuid4())),
            )
            for member in members
        ),
        *(PeersWired(a=a, b=b) for a, b in combinations(members, 2)),
    ]


# In words --------------------------------------------------------------------------------------


async def _place(stores: MobStores, run_id: str) -> tuple[int, RunStatus]:
    """How many moves were made, and the status."""
    states = await stores.engine.read(lambda: _standing(run_id))
    place = _play(UUID(run_id)).places.get(states)
    if place is None:
        raise RefusedError(
            "refused", "This run was begun by another version of the demo.", "Start a new run."
        )
    return place, cast("RunStatus", states[0])


async def _demo_run(stores: MobStores, run_id: str) -> DemoRun:
    return _told(run_id, *await _place(stores, run_id))


def _told(run_id: str | None, place: int, status: RunStatus) -> DemoRun:
    moves = _play(UUID(run_id)).moves if run_id else []
    return {
        "run_id": run_id,
        "mob_id": DEMO_MOB,
        "done": place,
        "of": len(moves),
        "status": status,
        "next": moves[place].what if place < len(moves) else "",
    }


def _in_words(swap: Swap, run_id: str) -> tuple[str, str]:
    """What of a state a move compares and changes: as it is before and after."""
    key, before, after = swap
    name = key.removeprefix(f"{run_id}-") or "run"
    if before is None:
        return f"{name}: not there", f"{name}: {after.phase}"
    changes = list(_changes(before, after))
    was = ", ".join(f"{field} {_word(old, run_id)}" for field, old, _ in changes)
    becomes = ", ".join(f"{field} {_word(new, run_id)}" for field, _, new in changes)
    return f"{name}: {was}", f"{name}: {becomes}"


def _changes(
    before: KernelState, after: KernelState
) -> Iterator[tuple[str, KernelValue, KernelValue]]:
    """The fields that differ, and of maps the entries."""
    if before.phase != after.phase:
        yield "phase", before.phase, after.phase
    fields = before.fields
    for name, new in after.fields.items():
        old = fields[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            for key, value in new.items():
                if old.get(key) != value:
                    yield f"{name} {key}", old.get(key), value
        elif old != new:
            yield name, old, new


def _word(value: KernelValue, run_id: str) -> str:
    if isinstance(value, NamedVariant):
        return value.variant
    return compact(plain(value)).replace(f"{run_id}-", "")
