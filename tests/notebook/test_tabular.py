"""Records as flat dicts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from mobstore import (
    FailureLedgerEntry,
    FlowFailed,
    FlowId,
    MeerkatId,
    MobEvent,
    MobEventKind,
    MobId,
    MobReset,
    OtherEvent,
    RunHeader,
    StepDispatched,
    StepId,
    TaskCreated,
    TaskId,
    Timestamp,
    UsageError,
    to_dicts,
)
from mobstore.model.json import JsonInput
from mobstore.notebook.tabular import Tabular
from mobstore.testing.samples import (
    failure,
    full_run,
    iteration,
    make_run,
    run_id,
    step,
    stored_event,
    stored_profile,
    timestamp,
)


def events(*kinds: MobEventKind | OtherEvent) -> list[MobEvent]:
    return [
        stored_event(cursor, "desk", at=1_234_567, kind=kind)
        for cursor, kind in enumerate(kinds, 1)
    ]


LOG = events(
    StepDispatched(run_id=run_id(1), step_id=StepId("draft"), meerkat_id=MeerkatId("ann")),
    FlowFailed(run_id=run_id(1), flow_id=FlowId("daily"), reason="late"),
    TaskCreated(task_id=TaskId("t"), subject="s", description="d", blocked_by=(TaskId("u"),)),
    MobReset(),
)
PROFILE = stored_profile("scout", revision=2)
HEADER = RunHeader(
    run_id=run_id(1),
    mob_id=MobId("desk"),
    flow_id=FlowId("daily"),
    status="running",
    activation_params={"b": 1, "a": [None]},
    created_at=timestamp(0),
)


def test_other_events() -> None:
    fields: dict[str, JsonInput] = {"run_id": "r", "step_id": {"a": 1}, "z": 1, "a": None}
    (flat,) = to_dicts(events(OtherEvent(type="mob_stopped", fields=fields)))
    assert (flat["type"], flat["run_id"], flat["step_id"]) == ("mob_stopped", "r", None)
    assert flat["more"] == '{"a":null,"step_id":{"a":1},"z":1}'
    (empty,) = to_dicts(events(OtherEvent(type="mob_stopped", fields={})))
    assert empty["more"] is None


def test_events() -> None:
    dispatched, failed, created, reset = to_dicts(LOG)
    assert dispatched == {
        "cursor": 1,
        "timestamp": datetime(2026, 3, 4, 5, 6, 7, 1234, UTC),
        "mob_id": "desk",
        "type": "step_dispatched",
        "run_id": str(run_id(1)),
        "flow_id": None,
        "step_id": "draft",
        "meerkat_id": "ann",
        "reason": None,
        "more": None,
    }
    assert (failed["flow_id"], failed["reason"]) == ("daily", "late")
    assert json.loads(cast("str", created["more"])) == {
        "task_id": "t",
        "subject": "s",
        "description": "d",
        "blocked_by": ["u"],
    }
    assert (reset["type"], reset["run_id"], reset["more"]) == ("mob_reset", None, None)


def test_runs() -> None:
    assert to_dicts([full_run(mob="desk")]) == [
        {
            "run_id": str(run_id(1)),
            "mob_id": "desk",
            "flow_id": "flow",
            "status": "failed",
            "created_at": datetime(2026, 3, 4, 5, 6, 7, 0, UTC),
            "completed_at": datetime(2026, 3, 4, 5, 6, 6, 999_999, UTC),
            "steps": 3,
            "failures": 2,
            "frames": 3,
            "loops": 2,
        }
    ]
    assert to_dicts([make_run()])[0]["completed_at"] is None


def test_headers_profiles_and_entries() -> None:
    (header,) = to_dicts([HEADER])
    assert header["activation_params"] == '{"a":[null],"b":1}'
    assert (header["run_id"], header["completed_at"]) == (str(run_id(1)), None)

    (realm,) = to_dicts([PROFILE])
    assert list(realm)[:5] == ["name", "revision", "created_at", "updated_at", "model"]
    assert (realm["skills"], realm["provider_params"]) == ('["b","a"]', '{"t":0.1}')
    assert realm["external_addressable"] is False

    entries: list[Tabular] = [
        step(output="text"),
        step(output=None),
        failure(),
        iteration(2**64 - 1),
    ]
    written, silent, failed, iterated = to_dicts(entries)
    assert (written["output"], silent["output"]) == ('"text"', None)
    assert failed == {
        "step_id": "step",
        "reason": "why",
        "timestamp": datetime(2026, 3, 4, 5, 6, 7, 0, UTC),
    }
    assert iterated["iteration"] == 2**64 - 1


ALL: Sequence[Sequence[Tabular]] = [
    LOG,
    [full_run(), make_run()],
    [HEADER],
    [step(output={"a": 1}), step(output=[]), step(output=0)],
    [failure()],
    [iteration(0)],
    [PROFILE],
]


@pytest.mark.parametrize("records", ALL, ids=lambda records: type(records[0]).__name__)
def test_they_are_flat_and_have_the_same_keys(records: Sequence[Tabular]) -> None:
    """Data frames require one type in each column, and no nested values."""
    dicts = to_dicts(records)
    assert len({tuple(one) for one in dicts}) == 1
    for name in dicts[0]:
        kinds = {type(one[name]) for one in dicts} - {type(None)}
        assert kinds <= {str, int, bool, datetime}, (name, kinds)
        assert len(kinds) <= 1, (name, kinds)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dicts[0]))
    writer.writeheader()
    writer.writerows(dicts)
    assert len(list(csv.reader(io.StringIO(text.getvalue())))) == len(records) + 1


def test_times_outside_of_the_years_1_to_9999_are_text() -> None:
    far = Timestamp("+12026-03-04T05:06:07Z")
    entry = FailureLedgerEntry(step_id=StepId("s"), reason="", timestamp=far)
    assert to_dicts([entry])[0]["timestamp"] == "+12026-03-04T05:06:07Z"


def test_no_records_and_wrong_records() -> None:
    assert to_dicts([]) == []
    with pytest.raises(UsageError, match="type int"):
        to_dicts([cast("Tabular", 7)])
