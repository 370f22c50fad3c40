"""Documents that the page opens: read and decoded on demand."""

from __future__ import annotations

from typing import Any, cast

from inspector.batched_reads import MOST_DECODED
from inspector.formatting import (
    abbreviate,
    parse_json,
    to_indented_json,
    to_plain_json,
    truncate,
)
from inspector.results import Document, Ref
from mobstore.errors import NotFoundError
from mobstore.model.kernel import KernelState
from mobstore.scripts.tables import (
    EVENTS,
    FRAMES,
    LOOP_STEP_OUTPUTS,
    LOOPS,
    REALM_PROFILES,
    ROOT_STEP_OUTPUTS,
    RUN_EXTRAS,
    RUN_STATES,
    RUNS,
    SPECS,
    STEP_LEDGER,
    Key,
    Table,
)
from mobstore.scripts.transaction import Commit, Get, Script, fetch

_EXPORT = "Export the store to get all of it."
_MOST = 200_000
"""The most characters of a document that are shown; a browser cannot lay out many more."""


def document(ref: Ref) -> Script[Document]:
    """Read the document that a reference names; only the beginning of a very long one.

    Raises:
        NotFoundError: it no longer exists.
        SerializationError: it is corrupt.
    """
    table, key, title, column = _place(ref)
    row = yield from fetch(Get(table, key))
    title = truncate(title)
    if row is None:
        raise NotFoundError(f"{title} no longer exists")
    stored = cast("str", getattr(row, column))
    if len(stored) > MOST_DECODED:
        note = f"It has {len(stored):,} characters, too many to decode here. {_EXPORT}"
        beginning = abbreviate(stored, _MOST)
        return Commit({"title": title, "text": beginning, "stored": beginning, "note": note})
    if column in {"flow_state", "kernel_state"}:
        state = KernelState.from_canonical(stored)
        fields = {name: to_plain_json(value) for name, value in state.fields.items()}
        readable: object = {"phase": state.phase, "fields": fields}
    else:
        readable = parse_json(stored, title)
    text, whole = to_indented_json(readable, _MOST)
    note = "" if whole and len(stored) <= _MOST else f"Only the beginning is shown. {_EXPORT}"
    return Commit({"title": title, "text": text, "stored": abbreviate(stored, _MOST), "note": note})


def _place(ref: Ref) -> tuple[Table[Any], Key, str, str]:
    """Return table, key, title and column of a reference."""
    match ref:
        case {"of": "event", "cursor": cursor}:
            return EVENTS, (cursor,), f"event {cursor}", "kind"
        case {"of": "params", "run_id": run_id}:
            return RUNS, (run_id,), f"activation params of run {run_id}", "activation_params"
        case {"of": "run", "run_id": run_id}:
            return RUN_STATES, (run_id,), f"flow state of run {run_id}", "flow_state"
        case {"of": "extra", "run_id": run_id}:
            return RUN_EXTRAS, (run_id,), f"further keys of run {run_id}", "extra"
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
            raise NotFoundError(f"unknown kind of document: {ref.get('of')}")
