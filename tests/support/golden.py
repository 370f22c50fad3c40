"""Golden data: documents and calls with the reference's answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID

from mobstore import (
    FailureLedgerEntry,
    FrameSnapshot,
    KernelState,
    LoopIterationLedgerEntry,
    LoopSnapshot,
    MobDefinition,
    MobEvent,
    MobRun,
    MobStoreError,
    MobStores,
    NewMobEvent,
    Profile,
    Record,
    StepLedgerEntry,
    Timestamp,
    event_kind_from_json,
)

GOLDEN = Path(__file__).parent.parent / "golden"
SCRIPT_FILES = ("scripts", "scripts-odd-values")
TIME = "<time>"
"""Stands in an expected answer for a time that the store took itself."""


class Vector(NamedTuple):
    """A document of one type, and the reference's form of it; None if it rejects it."""

    type: str
    document: str
    rewritten: str | None


@lru_cache
def lines(name: str) -> tuple[dict[str, Any], ...]:
    """Return the decoded lines of a golden file."""
    with gzip.open(GOLDEN / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return tuple(json.loads(line) for line in file)


def vectors() -> list[Vector]:
    """Return all documents of the decoding tests."""
    return [
        Vector(line["type"], line["json"], line["expect"].get("ok"))
        for line in lines("decode")
        if line["expect"].keys() <= {"ok", "err"}
    ]


def seeds(name: str) -> list[int]:
    """Return the seeds of the scripts in a file; each names one script."""
    return [script["seed"] for script in lines(name)]


def calls(name: str, seed: int) -> list[dict[str, Any]]:
    """Return the calls of one script, in order."""
    (found,) = (script["calls"] for script in lines(name) if script["seed"] == seed)
    return cast("list[dict[str, Any]]", found)


# Comparing -------------------------------------------------------------------------------------


def same(one: Any, other: Any) -> bool:
    """Return whether documents are equal where 1, 1.0 and True differ; key order is ignored."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        these, those = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return these.keys() == those.keys() and all(same(v, those[k]) for k, v in these.items())
    if isinstance(one, (list, tuple)):
        ones, others = cast("list[Any]", one), cast("list[Any]", other)
        return len(ones) == len(others) and all(map(same, ones, others))
    # By text: 0.0 == -0.0, and NaN would not equal itself.
    return repr(one) == repr(other)


def ordered(document: str) -> Any:
    """Decode with objects as tuples of pairs, so that `same` sees the order of their keys."""
    return json.loads(document, object_pairs_hook=tuple)


def has_exponent(document: str) -> bool:
    """Return whether a float is written with an exponent: its bytes are not promised."""
    found: list[str] = []

    def note(digits: str) -> float:
        found.append(digits)
        return float(digits)

    json.loads(document, parse_float=note)
    return any("e" in digits.lower() for digits in found)


# Converting ------------------------------------------------------------------------------------

_TYPES: tuple[type[Record], ...] = (
    FailureLedgerEntry,
    FrameSnapshot,
    MobDefinition,
    MobEvent,
    MobRun,
    Profile,
    StepLedgerEntry,
)
READERS: Mapping[str, Callable[[str], Record | KernelState]] = {
    **{kind.__name__: kind.from_json for kind in _TYPES},
    "KernelState": KernelState.from_json,
    "MobEventKind": event_kind_from_json,
}


def _state(value: object) -> KernelState:
    return KernelState.from_json(json.dumps(value))


def _frame(value: object) -> FrameSnapshot | None:
    return None if value is None else FrameSnapshot.from_json(json.dumps(value))


def _loop(value: object) -> LoopSnapshot:
    return LoopSnapshot.from_json(json.dumps(value))


def _ledger_entry(value: object) -> LoopIterationLedgerEntry | None:
    return None if value is None else LoopIterationLedgerEntry.from_json(json.dumps(value))


def event(value: Any) -> NewMobEvent:
    """Return an event to append from its JSON."""
    moment = value["timestamp"]
    return NewMobEvent(
        mob_id=value["mob_id"],
        kind=event_kind_from_json(json.dumps(value["kind"])),
        timestamp=None if moment is None else Timestamp(moment),
    )


_ARGUMENTS: Mapping[str, Callable[[Any], object]] = {
    "event": event,
    "events": lambda values: [event(value) for value in values],
    "run": lambda value: MobRun.from_json(json.dumps(value)),
    "run_id": UUID,
    "definition": lambda value: MobDefinition.from_json(json.dumps(value)),
    "profile": lambda value: Profile.from_json(json.dumps(value)),
    "older_than": Timestamp,
    "expected_frame": _frame,
    "next_frame": _frame,
    "initial_frame": _frame,
    "expected_loop": _loop,
    "next_loop": _loop,
    "initial_loop": _loop,
    "snapshot": _loop,
    "expected_run_state": _state,
    "next_run_state": _state,
    "expected_flow_state": _state,
    "next_flow_state": _state,
    "ledger_entry": _ledger_entry,
    "loop_context": lambda value: None if value is None else tuple(value),
}
_SPECIAL: Mapping[tuple[str, str], Callable[[Any], object]] = {
    ("append_step_entry", "entry"): lambda v: StepLedgerEntry.from_json(json.dumps(v)),
    ("append_step_entry_if_absent", "entry"): lambda v: StepLedgerEntry.from_json(json.dumps(v)),
    ("append_failure_entry", "entry"): lambda v: FailureLedgerEntry.from_json(json.dumps(v)),
    ("cas_frame_state", "expected"): _frame,
    ("cas_frame_state", "next"): _frame,
    ("cas_flow_state", "expected"): _state,
    ("cas_flow_state", "next"): _state,
}


def arguments(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call as the store takes them."""
    op: str = call["op"]
    given = {name: value for name, value in call.items() if name not in {"op", "expect"}}
    return {
        name: (_SPECIAL.get((op, name)) or _ARGUMENTS.get(name) or _as_it_is)(value)
        for name, value in given.items()
    }


def _as_it_is(value: object) -> object:
    return value


def plain(value: Any) -> Any:
    """Return the JSON of a store's answer."""
    if isinstance(value, Record):
        return json.loads(value.to_json())
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in cast("list[Any]", value)]
    return value


# Replaying -------------------------------------------------------------------------------------

_EVENT_OPS = {"append", "append_batch", "poll", "replay_all", "clear", "prune"}


async def replay(stores: MobStores, call: Mapping[str, Any]) -> dict[str, Any]:
    """Make one call; return its outcome in the form of the golden files."""
    op: str = call["op"]
    store: object
    if op in _EVENT_OPS:
        store = stores.events
    elif op.endswith(("_spec", "_specs")):
        store = stores.specs
    elif op.startswith("realm_"):
        store = stores.realm_profiles
    else:
        store = stores.runs
    try:
        answer = await getattr(store, op.removeprefix("realm_"))(**arguments(call))
    except MobStoreError as error:
        kind = type(error).__name__.removesuffix("Error")
        return {"err": {"kind": kind, "message": str(error)}}
    return {"ok": plain(answer)}


def masked(got: Any, expected: Any) -> Any:
    """Return `got` with the store's own times replaced where `expected` leaves them open."""
    if expected == TIME and type(got) is str:
        Timestamp(got)  # it must still be a time
        return TIME
    if isinstance(got, dict) and isinstance(expected, dict):
        those = cast("dict[str, Any]", expected)
        return {k: masked(v, those.get(k)) for k, v in cast("dict[str, Any]", got).items()}
    if isinstance(got, list) and isinstance(expected, list):
        gots, those_items = cast("list[Any]", got), cast("list[Any]", expected)
        if len(gots) == len(those_items):
            return [masked(g, e) for g, e in zip(gots, those_items, strict=True)]
    return cast("Any", got)
