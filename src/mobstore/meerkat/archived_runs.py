"""Runs of 0.6 to 0.8, converted to the form of 0.5.2 and what does not fit into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from mobstore.meerkat.lifting import FLOW_FRAME, FLOW_RUN, LOOP_ITERATION, Machine, lift
from mobstore.model.record import Record
from mobstore.model.run import (
    FailureLedgerEntry,
    LoopIterationLedgerEntry,
    MobRun,
    StepLedgerEntry,
)

_LEDGERS: Mapping[str, type[Record]] = {
    "step_ledger": StepLedgerEntry,
    "failure_ledger": FailureLedgerEntry,
    "loop_iteration_ledger": LoopIterationLedgerEntry,
}
_SNAPSHOTS = {"frames": FLOW_FRAME, "loops": LOOP_ITERATION}
_STATE = "kernel_state"


class SplitRun(NamedTuple):
    """A run as 0.5.2 would write it, and the keys that it has besides.

    Attributes:
        run: the keys of `MobRun`.
        extra: all others, at the places where they were: those of the entry 3 of the step ledger
            are in `extra["step_ledger"]["3"]`, those of a frame in `extra["frames"][frame_id]`.
    """

    run: dict[str, Any]
    extra: dict[str, object]


def split_run(document: Mapping[str, Any]) -> SplitRun:
    """Split the JSON of a run of any release.

    Raises:
        SerializationError: a kernel state cannot be lifted.
    """
    run, extra = _split(document, MobRun)
    state, unknown = lift(FLOW_RUN, run.get("flow_state"), "flow_state")
    if "flow_state" in run:
        run["flow_state"] = state
    _keep(extra, "flow_state", unknown)
    for name, entry in _LEDGERS.items():
        if isinstance(entries := run.get(name), list):
            numbered = {str(n): one for n, one in enumerate(cast("list[object]", entries))}
            run[name] = list(_split_each(numbered, _entry_of(entry), extra, name).values())
    for name, machine in _SNAPSHOTS.items():
        if isinstance(snapshots := run.get(name), dict):
            named = cast("dict[str, object]", snapshots)
            run[name] = _split_each(named, _snapshot_of(machine, name), extra, name)
    return SplitRun(run, extra)


_Split = tuple[dict[str, Any], dict[str, object]]


def _split(document: Mapping[str, Any], kind: type[Record]) -> _Split:
    known = kind.model_fields
    return (
        {name: value for name, value in document.items() if name in known},
        {name: value for name, value in document.items() if name not in known},
    )


def _split_each(
    whole: Mapping[str, object],
    split: Callable[[dict[str, Any]], _Split],
    extra: dict[str, object],
    name: str,
) -> dict[str, object]:
    """Split the parts of a run with a name, and keep what is left of each."""
    parts: dict[str, object] = {}
    left: dict[str, object] = {}
    for key, part in whole.items():
        parts[key] = part
        if isinstance(part, dict):
            parts[key], unknown = split(cast("dict[str, Any]", part))
            _keep(left, key, unknown)
    _keep(extra, name, left)
    return parts


def _entry_of(kind: type[Record]) -> Callable[[dict[str, Any]], _Split]:
    def split(entry: dict[str, Any]) -> _Split:
        if kind is StepLedgerEntry and "agent_identity" in entry and "meerkat_id" not in entry:
            entry = {**entry, "meerkat_id": entry["agent_identity"]}
            del entry["agent_identity"]
        return _split(entry, kind)

    return split


def _snapshot_of(machine: Machine, name: str) -> Callable[[dict[str, Any]], _Split]:
    def split(snapshot: dict[str, Any]) -> _Split:
        unknown = {key: value for key, value in snapshot.items() if key != _STATE}
        if _STATE not in snapshot:
            return snapshot, {}
        state, of_state = lift(machine, snapshot[_STATE], f"{name}: {_STATE}")
        _keep(unknown, _STATE, of_state)
        return {_STATE: state}, unknown

    return split


def _keep(extra: dict[str, object], name: str, unknown: Mapping[str, object]) -> None:
    if unknown:
        extra[name] = unknown
