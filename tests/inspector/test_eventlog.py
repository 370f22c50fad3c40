"""The event index for filters, and lines of events."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from mobstore import (
    ExternalPeerWired,
    FlowId,
    FlowStarted,
    MeerkatId,
    MobEventKind,
    MobId,
    MobReset,
    MobToolCallerProvenance,
    NewMobEvent,
    OpaquePrincipalToken,
    OperatorActionRecorded,
    OtherEvent,
    PeersWired,
    RunId,
    StepDispatched,
    StepId,
    SupervisorEscalation,
    TaskId,
    TaskUpdated,
    Timestamp,
    TrustedPeerSpec,
)
from mobstore.model.json import JsonInput
from mobstore.scripts.tables import EVENTS, EventRow
from mobstore.scripts.transaction import Commit, Put, Script
from support.pages import Page

RUN = "24ede6a4-6b4c-4242-8a23-d5962217bead"
MARKUP = '<img src=x onerror="alert(1)">'


def append(page: Page, *kinds: MobEventKind | OtherEvent, mob_id: str = "m") -> None:
    events = [
        NewMobEvent(mob_id=MobId(mob_id), kind=kind, allow_other=isinstance(kind, OtherEvent))
        for kind in kinds
    ]
    page.run(page.stores.events.append_batch(events))


def pages(page: Page, limit: int, *, newest: bool = False, **of: object) -> list[dict[str, Any]]:
    """Read all pages of events that meet some conditions."""
    found: list[dict[str, Any]] = []
    after: dict[str, int] = {}
    while True:
        answer = page.ask("events", limit=limit, newest_first=newest, **of, **after)
        assert len(answer["events"]) <= limit
        found += answer["events"]
        if answer["next"] is None:
            return found
        after = {"before_cursor" if newest else "after_cursor": answer["next"]}


def cursors(events: list[dict[str, Any]]) -> list[int]:
    return [event["cursor"] for event in events]


@pytest.mark.parametrize("limit", [1, 7, 98, 99, 100, 500])
def test_all_pages_together_are_the_whole_log(tide_desk: Page, limit: int) -> None:
    events = pages(tide_desk, limit)
    assert cursors(events) == list(range(1, 100))
    assert cursors(pages(tide_desk, limit, newest=True)) == list(range(99, 0, -1))
    assert (events[7]["type"], events[7]["members"]) == ("peers_wired", ["scout-1", "writer-1"])
    assert (events[11]["mob_id"], events[11]["run_id"]) == ("tide-desk", RUN)
    assert (events[12]["type"], events[12]["members"]) == ("step_completed", [])


def test_other_kinds_are_shown_with_all_their_fields(page: Page) -> None:
    within: dict[str, JsonInput] = {
        "run_id": RUN,
        "agent_identity": "zoe",
        "<b>": {"y": 1},
        "n": "x" * 10_000,
    }
    append(page, OtherEvent(type="mob_stopped", fields=within), MobReset())
    append(page, OtherEvent(type="t" * 10_000, fields={}))
    (event,) = page.ask("events", types=["mob_stopped"])["events"]
    assert (event["type"], event["members"], event["run_id"]) == ("mob_stopped", ["zoe"], RUN)
    assert event["preview"].startswith(f'run_id={RUN} agent_identity=zoe <b>={{"y":1}} n=xxx')
    assert len(event["preview"]) < 300
    assert cursors(page.ask("events", run_id=RUN)["events"]) == [1]
    assert cursors(page.ask("events", member="zoe")["events"]) == [1]
    document = page.ask("document", ref={"of": "event", "cursor": 1})
    assert '"agent_identity": "zoe"' in document["text"]
    assert len(page.ask("events")["events"][2]["type"]) == 200


CONDITIONS: list[dict[str, Any]] = [
    {"run_id": RUN},
    {"mob_id": "tide-desk", "run_id": RUN},
    {"run_id": "of no-run"},
    {"mob_id": "tide-desk"},
    {"mob_id": "other"},
    {"types": ["step_completed"]},
    {"types": ["step_completed", "step_dispatched"]},
    {"types": ["of no type"]},
    {"member": "writer-1"},
    {"mob_id": "tide-desk", "member": "writer-1", "types": ["step_dispatched"]},
    {"since": "2026-03-02T08:00:02Z"},
    {"since": "2026-03-02T08:00:02Z", "run_id": RUN, "types": ["step_completed"]},
    {"since": "2030-01-01T00:00:00Z"},
]


@pytest.mark.parametrize("of", CONDITIONS, ids=str)
@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("limit", [3, 500])
def test_filters_are_those_of_the_store(
    tide_desk: Page, of: dict[str, Any], newest: bool, limit: int
) -> None:
    given = {key: value for key, value in of.items() if key not in {"mob_id", "run_id"}}
    if "since" in given:
        given["since"] = Timestamp(given["since"])
    if "types" in given and given["types"] == ["of no type"]:
        expected: list[int] = []
    else:
        polled = tide_desk.run(tide_desk.stores.events.poll(newest_first=newest, **given))
        expected = [
            event.cursor
            for event in polled
            if of.get("mob_id") in {None, event.mob_id}
            and of.get("run_id") in {None, str(event.run_id)}
        ]
    assert cursors(pages(tide_desk, limit, newest=newest, **of)) == expected


def test_conditions_find_something(tide_desk: Page) -> None:
    found = [len(pages(tide_desk, 500, **of)) for of in CONDITIONS]
    assert [0 < number < 99 for number in found] == [
        True, True, False, False, False, True, True, False, True, True, True, True, False,
    ]  # fmt: skip


def test_events_of_another_mob_about_a_run_are_left_out(page: Page) -> None:
    dispatched = StepDispatched(
        run_id=RunId(UUID(RUN)), step_id=StepId("s"), meerkat_id=MeerkatId("m")
    )
    for mob_id in ["a", *["b"] * 5, "a"]:
        append(page, dispatched, mob_id=mob_id)
    assert cursors(pages(page, 2, mob_id="a", run_id=RUN)) == [1, 7]
    assert cursors(pages(page, 2, mob_id="a", run_id=RUN, newest=True)) == [7, 1]


@pytest.mark.parametrize("since", ["yesterday", "", "2026-03-02", "+900000-01-01T00:00:00Z"])
def test_a_wrong_time_is_rejected(page: Page, since: str) -> None:
    assert page.failure("events", since=since)["kind"] == "rejected"


def test_members_of_each_kind(page: Page) -> None:
    run_id = RunId(uuid4())
    peer = TrustedPeerSpec(name="press", peer_id="p", address="inproc://press")
    caller = MobToolCallerProvenance(caller_member_id="boss")
    token = OpaquePrincipalToken("t")
    append(
        page,
        ExternalPeerWired(local=MeerkatId("l"), spec=peer),
        TaskUpdated(task_id=TaskId("t"), status="open", owner=MeerkatId("o")),
        TaskUpdated(task_id=TaskId("t"), status="open"),
        SupervisorEscalation(run_id=run_id, step_id=StepId("s"), escalated_to=MeerkatId("e")),
        OperatorActionRecorded(tool_name="x", principal_token=token, caller_provenance=caller),
        OperatorActionRecorded(tool_name="x", principal_token=token),
        MobReset(),
    )
    told = [(event["members"], event["run_id"]) for event in pages(page, 100)]
    assert told == [
        (["l"], None),
        (["o"], None),
        ([], None),
        (["e"], str(run_id)),
        (["boss"], None),
        ([], None),
        ([], None),
    ]


def test_an_empty_log(page: Page) -> None:
    found = page.ask("events")
    assert found == {"events": [], "next": None, "last": 0, "origin": ""}


def test_new_events_come_after_the_last_cursor(tide_desk: Page) -> None:
    before = tide_desk.ask("events", newest_first=True, types=["mob_reset"])
    assert (before["events"], before["last"]) == ([], 99)
    append(tide_desk, MobReset())
    after = tide_desk.ask("events", after_cursor=before["last"], types=["mob_reset"])
    assert (cursors(after["events"]), after["next"], after["last"]) == ([100], None, 100)
    assert after["origin"] == before["origin"]


def test_the_origin_identifies_the_log(tide_desk: Page) -> None:
    origins = [tide_desk.ask("events")["origin"]]
    tide_desk.run(tide_desk.stores.events.prune(Timestamp("2026-03-02T08:00:02Z")))
    origins.append(tide_desk.ask("events")["origin"])
    tide_desk.run(tide_desk.stores.events.clear())
    append(tide_desk, MobReset())
    origins.append(tide_desk.ask("events")["origin"])
    tide_desk.ask("erase")
    append(tide_desk, MobReset())
    origins.append(tide_desk.ask("events")["origin"])
    assert len(set(origins)) == 4


def test_a_line(tide_desk: Page) -> None:
    line = tide_desk.ask("events", newest_first=True, limit=1)["events"][0]
    assert line["preview"] == "task_id=t-1 status=completed owner=writer-1"
    assert line["timestamp_at"] == "2026-03-02T08:05:59.832000469Z"


def test_untrusted_text_stays_text(page: Page) -> None:
    run_id = RunId(uuid4())
    append(
        page,
        StepDispatched(run_id=run_id, step_id=StepId(MARKUP), meerkat_id=MeerkatId("a\nb\x00")),
        PeersWired(a=MeerkatId('"}],'), b=MeerkatId("__proto__")),
        FlowStarted(run_id=run_id, flow_id=FlowId(""), params={"big": 2**64 - 1}),
        mob_id=MARKUP,
    )
    lines = pages(page, 2)
    assert [line["mob_id"] for line in lines] == [MARKUP] * 3
    assert lines[0]["members"] == ["a\nb\x00"]
    assert lines[1]["members"] == ['"}],', "__proto__"]
    assert f"step_id={MARKUP}" in lines[0]["preview"]
    document = page.ask("document", ref=lines[2]["event"])
    assert '"big": 18446744073709551615' in document["text"]


def test_long_values_are_cut_in_lines_and_whole_in_documents(page: Page) -> None:
    append(page, FlowStarted(run_id=RunId(uuid4()), flow_id=FlowId("f"), params="x" * 1000))
    (line,) = page.ask("events")["events"]
    assert line["preview"].endswith(f"params={'x' * 59}…")
    assert "x" * 1000 in page.ask("document", ref=line["event"])["text"]


@pytest.mark.slow
def test_a_page_of_100_000_events(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [
        StepDispatched(
            run_id=RunId(UUID(RUN)),
            step_id=StepId(f"step-{number % 9}"),
            meerkat_id=MeerkatId(f"member-{number % 17}"),
        ).to_json()
        for number in range(9 * 17)
    ]
    now = Timestamp.now().sortable
    rows = [
        EventRow(cursor, "m", now, "step_dispatched", RUN, kinds[cursor % len(kinds)])
        for cursor in range(1, 100_001)
    ]

    def fill() -> Script[None]:
        yield ()
        return Commit(None, (Put(EVENTS, rows),))

    page.run(page.stores.engine.write(fill))
    took: dict[str, float] = {}
    for of in ({}, {"member": "member-3"}, {"types": ["step_dispatched"]}, {"member": "absent"}):
        began = time.process_time()
        found = page.ask("events", newest_first=True, **of)
        took[str(of)] = time.process_time() - began
        assert len(found["events"]) == (0 if of.get("member") == "absent" else 200)
    with capsys.disabled():
        print("\nfirst page of 100,000 events, seconds of CPU:", took)
