"""Whatever can be opened: read, decoded and made readable at that moment."""

from __future__ import annotations

from typing import Any, cast

from inspector.pieces import PARSED
from inspector.shapes import Document, Ref
from inspector.texts import cut, parsed, plain, pretty, shortened
from mobstore.errors import NotFoundError
from mobstore.model.kernel import KernelState
from mobstore.scripts.tables import (
    EVENTS,
    FRAMES,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    Key,
    Table,
)
from mobstore.scripts.transaction import Commit, Get, Script, fetch

_EXPORT = "Export the store to have all of it."
_MOST = 200_000
"""Characters that are shown of a document: a browser cannot lay out much more."""


def document(ref: Ref) -> Script[Document]:
    """Open what a result referred to; of what is very long only the beginning.

    Raises:
        NotFoundError: it is not there any more.
        SerializationError: it cannot be read.
    """
    table, key, title, column = _place(ref)
    row = yield from fetch(Get(table, key))
    title = cut(title)
    if row is None:
        raise NotFoundError(f"{title} is not there any more")
    stored = cast("str", getattr(row, column))
    if len(stored) > PARSED:
        note = f"It has {len(stored):,} characters, which is too long to be decoded here. {_EXPORT}"
        beginning = shortened(stored, _MOST)
        return Commit({"title": title, "text": beginning, "stored": beginning, "note": note})
    if column in {"flow_state", "kernel_state"}:
        state = KernelState.from_canonical(stored)
        fields = {name: plain(value) for name, value in state.fields.items()}
        readable: object = {"phase": state.phase, "fields": fields}
    else:
        readable = parsed(stored, title)
    text, whole = pretty(readable, _MOST)
    note = "" if whole and len(stored) <= _MOST else f"Only the beginning is shown. {_EXPORT}"
    return Commit({"title": title, "text": text, "stored": shortened(stored, _MOST), "note": note})


def _place(ref: Ref) -> tuple[Table[Any], Key, str, str]:
    """Table, key, name for people and column of what is referred to."""
    match ref:
        case {"of": "event", "cursor": cursor}:
            return EVENTS, (cursor,), f"event {cursor}", "kind"
        case {"of": "params", "run_id": run_id}:
            return RUNS, (run_id,), f"activation params of run {run_id}", "activation_params"
        case {"of": "run", "run_id": run_id}:
            return RUN_STATES, (run_id,), f"flow state of run {run_id}", "flow_state"
        case {"of": "frame", "run_id": run_id, "id": frame_id}:
            return FRAMES, (run_id, frame_id), f"state of frame {frame_id}", "kernel_state"
        case {"of": "loop", "run_id": run_id, "id": loop_id}:
            return LOOPS, (run_id, loop_id), f"state of loop {loop_id}", "kernel_state"
        case {"of": "step", "run_id": run_id, "position": position}:
            return STEP_LEDGER, (run_id, position), f"output of ledger entry {position}", "output"
        case {"of": "output", "run_id": run_id, "step_id": step_id, "loop_id": loop_id,
              "iteration": iteration}:  # fmt: skip
            key = (run_id, loop_id, iteration, step_id)
            return LOOP_STEP_OUTPUTS, key, f"output of {step_id} in {loop_id} {iteration}", "output"
        case {"of": "output", "run_id": run_id, "step_id": step_id}:
            return ROOT_STEP_OUTPUTS, (run_id, step_id), f"output of {step_id}", "output"
        case {"of": "spec", "id": mob_id}:
            return SPECS, (mob_id,), f"spec of {mob_id}", "definition"
        case {"of": "profile", "id": name}:
            return REALM_PROFILES, (name,), f"realm profile {name}", "profile"
        case _:
            raise NotFoundError(f"nothing is called {ref.get('of')}")
