"""Results about the sample."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from mobstore import MobId, MobReset, NewMobEvent
from support.pages import Page

POLISHED = "24ede6a4-6b4c-4242-8a23-d5962217bead"
RETRIED = "49b64a08-72e6-4c3a-babc-ed2057ee05cd"
FAILED = "c7702420-8aa4-448c-8857-f9a43908f227"


def test_the_overview_counts_by_mob(tide_desk: Page) -> None:
    found = tide_desk.ask("overview")
    assert (found["events"], found["runs"], found["empty"]) == (99, 8, False)
    night, tide = found["mobs"]
    assert (night["mob_id"], night["events"], night["runs"]) == ("night-desk", 0, 0)
    assert (tide["mob_id"], tide["events"], tide["runs"]) == ("tide-desk", 99, 8)
    assert tide["spec_revision"] == 2
    assert tide["roles"] == ["editor", "scout", "writer"]
    assert tide["flows"] == ["daily", "polish"]
    assert [(each["name"], each["revision"]) for each in found["profiles"]] == [
        ("proof-reader", 1),
        ("web-scout", 2),
    ]


@pytest.mark.parametrize("known", [0, 50])
def test_the_overview_counts_events_that_were_read_before_and_others(
    tide_desk: Page, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    expected = tide_desk.ask("overview")
    monkeypatch.setattr("inspector.roster._ROWS_AT_ONCE", known or 1)
    if known:
        tide_desk.ask("roster", mob_id="tide-desk")
    assert tide_desk.ask("overview") == expected
    monkeypatch.setattr("inspector.overview._ROWS_AT_ONCE", 10)  # the rest takes many pages
    assert tide_desk.ask("overview") == expected


def test_the_overview_counts_no_events_of_an_erased_log(tide_desk: Page) -> None:
    tide_desk.ask("roster", mob_id="tide-desk")
    tide_desk.ask("erase")
    assert tide_desk.ask("overview")["events"] == 0
    event = NewMobEvent(mob_id=MobId("m"), kind=MobReset())
    tide_desk.run(tide_desk.stores.events.append(event))
    assert tide_desk.ask("overview")["events"] == 1


@pytest.mark.parametrize("at_once", [7, 1000])
def test_the_overview_finds_mobs_that_have_events_alone(
    page: Page, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("inspector.overview._ROWS_AT_ONCE", at_once)
    names = ["z", "", "m", *map(str, range(30))]
    events = [NewMobEvent(mob_id=MobId(name), kind=MobReset()) for name in names]
    page.run(page.stores.events.append_batch(events))
    found = [(mob["mob_id"], mob["events"]) for mob in page.ask("overview")["mobs"]]
    assert found == [(name, 1) for name in sorted(names)]


def test_the_roster(tide_desk: Page) -> None:
    found = tide_desk.ask("roster", mob_id="tide-desk")
    assert found["as_of_cursor"] == 99
    members = {member["member_id"]: member for member in found["members"]}
    assert list(members) == ["editor-1", "writer-1", "writer-2", "scout-1", "scout-2", "scout-3"]
    writer = members["writer-1"]
    assert (writer["role"], writer["state"], writer["backend"]) == ("writer", "active", "session")
    assert writer["session_id"] == "9531985d-5d9d-49f8-9818-e811892f902b"
    assert writer["labels"] == {"shift": "day"}
    assert writer["wired_to"] == ["scout-1"]
    assert members["scout-1"]["wired_to"] == ["writer-1"]
    assert members["editor-1"]["external_peers"] == ["press/agency"]
    (task,) = found["tasks"]
    assert (task["subject"], task["status"]) == ("Café tides — zéro", "completed")
    assert writer["tasks"] == ["t-1"]


def test_runs_come_newest_first_in_pages(tide_desk: Page) -> None:
    page = tide_desk.ask("runs", mob_id="tide-desk", limit=3)
    assert page["total"] == 8
    numbers = [run["number"] for run in page["runs"]]
    while page["next_after"] is not None:
        page = tide_desk.ask("runs", mob_id="tide-desk", limit=3, after=page["next_after"])
        numbers += [run["number"] for run in page["runs"]]
    assert numbers == [8, 7, 6, 5, 4, 3, 2, 1]
    daily = tide_desk.ask("runs", mob_id="tide-desk", flow_id="daily")
    assert daily["total"] == len(daily["runs"]) == 5


@pytest.mark.parametrize("flow_id", [None, "daily", "polish"])
@pytest.mark.parametrize("status", ["pending", "running", "completed", "failed", "canceled"])
def test_runs_in_one_status(tide_desk: Page, flow_id: str | None, status: str) -> None:
    every = tide_desk.ask("runs", mob_id="tide-desk", flow_id=flow_id)["runs"]
    wanted = [run for run in every if run["status"] == status]
    found = tide_desk.ask("runs", mob_id="tide-desk", flow_id=flow_id, status=status)
    assert (found["total"], found["runs"]) == (len(wanted), wanted)


def test_a_run_has_a_status_and_a_duration(tide_desk: Page) -> None:
    runs = {run["run_id"]: run for run in tide_desk.ask("runs", mob_id="tide-desk")["runs"]}
    ended = runs[POLISHED]
    assert ended["status"] == "completed"
    assert ended["created_at"] == "2026-03-02T08:00:13.974000584Z"
    assert ended["created_ms"] == 1772438413974
    assert ended["duration_ms"] == ended["completed_ms"] - ended["created_ms"]
    running = next(run for run in runs.values() if run["status"] == "running")
    assert running["completed_at"] is running["duration_ms"] is None
    assert (runs[RETRIED]["steps"], runs[RETRIED]["failures"]) == (12, 4)
    assert runs[FAILED]["status"] == "failed"


def test_the_timeline_of_a_run(tide_desk: Page) -> None:
    run = tide_desk.ask("run", run_id=RETRIED)
    timeline = run["timeline"]
    assert timeline["members"] == ["editor-1", "scout-1", "scout-2", "scout-3", "writer-1"]
    told = [(bar["step_id"], bar["lane"], bar["status"]) for bar in timeline["bars"]]
    assert told == [
        ("outline", 0, "completed"),
        ("research", 1, "completed"),
        ("research", 2, "completed"),
        ("research", 3, "completed"),
        ("draft", 4, "completed"),
        ("signoff", 0, "completed"),
    ]
    first = timeline["bars"][0]
    assert (first["first"], first["last"]) == (0, 1)
    assert first["end_ms"] - first["start_ms"] == 10902
    assert timeline["start_ms"] == first["start_ms"]
    assert timeline["end_ms"] == timeline["bars"][-1]["end_ms"]


def test_the_tree_of_a_run_with_a_loop(tide_desk: Page) -> None:
    run = tide_desk.ask("run", run_id=POLISHED)
    told = [(each["of"], each["label"], each["depth"], each["phase"]) for each in run["tree"]]
    assert told == [
        ("frame", "root", 0, "Completed"),
        ("loop", "n-loop", 1, "Completed"),
        ("frame", "iter-0", 2, "Completed"),
    ]
    assert [each["iteration"] for each in run["tree"]] == [None, None, "0"]
    assert (run["flow_phase"], run["iterations"], run["outputs"]) == ("Completed", 1, 3)
    frames = [branch["id"] for branch in run["tree"] if branch["of"] == "frame"]
    nodes = tide_desk.ask("nodes", run_id=POLISHED, frame_ids=[*frames, "nowhere"])
    assert [frame["frame_id"] for frame in nodes["frames"]] == frames
    told_nodes = [
        [(n["node_id"], n["status"]) for n in frame["nodes"]] for frame in nodes["frames"]
    ]
    assert told_nodes == [
        [("n-outline", "Completed"), ("n-loop", "Completed")],
        [("n-draft", "Completed"), ("n-critique", "Completed")],
    ]


def test_ledgers_come_in_pages(tide_desk: Page) -> None:
    page = tide_desk.ask("ledger", run_id=RETRIED, which="step", offset=10, limit=5)
    assert (page["total"], page["offset"]) == (12, 10)
    assert [entry["position"] for entry in page["entries"]] == [10, 11]
    assert page["entries"][1]["member_id"] == "editor-1"
    failures = tide_desk.ask("ledger", run_id=RETRIED, which="failure", limit=2)
    assert failures["total"] == 4
    assert failures["entries"][0]["reason"] == "attempt 1 timed out"
    (iteration,) = tide_desk.ask("ledger", run_id=POLISHED, which="iteration")["entries"]
    assert iteration["frame_id"].endswith("::iter-0")


def test_outputs_of_root_and_loops(tide_desk: Page) -> None:
    outputs = tide_desk.ask("outputs", run_id=POLISHED)["outputs"]
    assert [(each["step_id"], each["loop_id"], each["iteration"]) for each in outputs] == [
        ("outline", None, None),
        ("draft", "revise", 0),
        ("critique", "revise", 0),
    ]
    assert outputs[0]["preview"] == '{"by":"editor-1","score":0.097}'


def test_every_reference_opens(tide_desk: Page) -> None:
    opened = 0
    for answer in everything(tide_desk):
        for ref in refs(answer):
            document = tide_desk.ask("document", ref=ref)
            json.loads(document["text"])
            opened += 1
    assert opened > 200


def test_a_kernel_state_is_opened_decoded_and_as_stored(tide_desk: Page) -> None:
    root = tide_desk.ask("run", run_id=POLISHED)["tree"][0]
    document = tide_desk.ask("document", ref=root["state"])
    assert json.loads(document["text"])["fields"]["node_status"] == {
        "n-loop": "NodeRunStatus::Completed",
        "n-outline": "NodeRunStatus::Completed",
    }
    assert json.loads(document["stored"])["fields"]["iteration"] == {"type": "u64", "value": 0}


def everything(page: Page) -> list[Any]:
    """Call everything about the sample."""
    overview = page.ask("overview")
    answers = [overview, page.ask("events")]
    for run in page.ask("runs", mob_id="tide-desk")["runs"]:
        run_id = run["run_id"]
        answers += [page.ask("run", run_id=run_id), page.ask("outputs", run_id=run_id)]
        answers += [page.ask("ledger", run_id=run_id, which="step")]
    return answers


def refs(answer: object) -> list[object]:
    """Yield all references in a result."""
    if isinstance(answer, list):
        return [ref for item in cast("list[object]", answer) for ref in refs(item)]
    if not isinstance(answer, dict):
        return []
    fields = cast("dict[str, object]", answer)
    if "of" in fields and "label" not in fields:  # a branch of a tree has both
        return [fields]
    return [ref for item in fields.values() for ref in refs(item)]
