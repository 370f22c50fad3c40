"""The event index for filters, and lines of events."""

from __future__ import annotations

import json
import time
from uuid import uuid4

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
from mobstore.scripts.tables import EVENTS, EventRow
from mobstore.scripts.transaction import Commit, Put, Script
from support.pages import Page

MARKUP = '<img src=x onerror="alert(1)">'


def append(page: Page, *kinds: MobEventKind, mob_id: str = "m") -> None:
    events = [NewMobEvent(mob_id=MobId(mob_id), kind=kind) for kind in kinds]
    page.run(page.stores.events.append_batch(events))


def whole_index(
    page: Page, limit: int, **of: str
) -> list[tuple[int, str, str, set[str], str | None]]:
    """Decode an index to rows of cursor, type, mob, members and run."""
    found: list[tuple[int, str, str, set[str], str | None]] = []
    after, more = 0, True
    while more:
        index = page.ask("event_index", after_cursor=after, limit=limit, **of)
        columns = [index[name] for name in ("cursors", "type", "mob", "member", "member2", "run")]
        assert len(set(map(len, columns))) == 1
        assert len(index["cursors"]) <= limit
        for cursor, kind, mob, one, other, run in zip(*columns, strict=True):
            members = {index["members"][place] for place in (one, other) if place >= 0}
            run_id = index["runs"][run] if run >= 0 else None
            found.append((cursor, index["types"][kind], index["mobs"][mob], members, run_id))
        after, more = index["cursors"][-1] if index["cursors"] else after, index["more"]
    return found


@pytest.mark.parametrize("limit", [7, 98, 99, 100, 10_000])
def test_all_pages_together_are_the_whole_log(tide_desk: Page, limit: int) -> None:
    index = whole_index(tide_desk, limit)
    assert [entry[0] for entry in index] == list(range(1, 100))
    run_id = "24ede6a4-6b4c-4242-8a23-d5962217bead"
    assert index[7] == (8, "peers_wired", "tide-desk", {"writer-1", "scout-1"}, None)
    assert index[11] == (12, "step_dispatched", "tide-desk", {"editor-1"}, run_id)
    assert index[12] == (13, "step_completed", "tide-desk", set(), run_id)


@pytest.mark.parametrize("limit", [1, 7, 8, 100])
def test_the_events_of_a_run_alone(tide_desk: Page, limit: int) -> None:
    run_id = "24ede6a4-6b4c-4242-8a23-d5962217bead"
    of_run = [entry for entry in whole_index(tide_desk, 100) if entry[4] == run_id]
    assert len(of_run) == 8
    assert whole_index(tide_desk, limit, run_id=run_id) == of_run
    assert whole_index(tide_desk, limit, run_id="of no-run") == []


def test_the_events_of_a_run_are_not_added_to_the_fold(tide_desk: Page) -> None:
    tide_desk.ask("event_index", run_id="24ede6a4-6b4c-4242-8a23-d5962217bead")
    assert len(tide_desk.ask("roster", mob_id="tide-desk")["members"]) == 6
    assert tide_desk.ask("overview")["events"] == 99


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
    told = [(members, run) for _, _, _, members, run in whole_index(page, 100)]
    assert told == [
        ({"l"}, None),
        ({"o"}, None),
        (set(), None),
        ({"e"}, str(run_id)),
        ({"boss"}, None),
        (set(), None),
        (set(), None),
    ]


def test_an_empty_log(page: Page) -> None:
    index = page.ask("event_index")
    assert (index["cursors"], index["more"], index["origin"]) == ([], False, "")


def test_new_events_come_after_the_last_cursor(tide_desk: Page) -> None:
    origin = tide_desk.ask("event_index")["origin"]
    append(tide_desk, MobReset())
    index = tide_desk.ask("event_index", after_cursor=99)
    assert (index["cursors"], index["types"], index["origin"]) == ([100], ["mob_reset"], origin)


def test_the_origin_identifies_the_log(tide_desk: Page) -> None:
    origins = [tide_desk.ask("event_index")["origin"]]
    tide_desk.run(tide_desk.stores.events.prune(Timestamp("2026-03-02T08:00:02Z")))
    origins.append(tide_desk.ask("event_index")["origin"])
    tide_desk.run(tide_desk.stores.events.clear())
    append(tide_desk, MobReset())
    origins.append(tide_desk.ask("event_index")["origin"])
    tide_desk.ask("erase")
    append(tide_desk, MobReset())
    origins.append(tide_desk.ask("event_index")["origin"])
    assert len(set(origins)) == 4


def test_lines_come_in_the_requested_order_without_missing_ones(
    tide_desk: Page,
) -> None:
    lines = tide_desk.ask("events", cursors=[99, 500, 12])["events"]
    assert [line["cursor"] for line in lines] == [99, 12]
    assert lines[0]["preview"] == "task_id=t-1 status=completed owner=writer-1"
    assert lines[0]["timestamp_at"] == "2026-03-02T08:05:59.832000469Z"


def test_untrusted_text_stays_text(page: Page) -> None:
    run_id = RunId(uuid4())
    append(
        page,
        StepDispatched(run_id=run_id, step_id=StepId(MARKUP), meerkat_id=MeerkatId("a\nb\x00")),
        PeersWired(a=MeerkatId('"}],'), b=MeerkatId("__proto__")),
        FlowStarted(run_id=run_id, flow_id=FlowId(""), params={"big": 2**64 - 1}),
        mob_id=MARKUP,
    )
    index = whole_index(page, 2)
    assert [entry[2] for entry in index] == [MARKUP] * 3
    assert index[0][3] == {"a\nb\x00"}
    assert index[1][3] == {'"}],', "__proto__"}
    lines = page.ask("events", cursors=[1, 2, 3])["events"]
    assert f"step_id={MARKUP}" in lines[0]["preview"]
    document = page.ask("document", ref=lines[2]["event"])
    assert '"big": 18446744073709551615' in document["text"]


def test_long_values_are_cut_in_lines_and_whole_in_documents(page: Page) -> None:
    append(page, FlowStarted(run_id=RunId(uuid4()), flow_id=FlowId("f"), params="x" * 1000))
    (line,) = page.ask("events", cursors=[1])["events"]
    assert line["preview"].endswith(f"params={'x' * 59}…")
    assert "x" * 1000 in page.ask("document", ref=line["event"])["text"]


def test_the_index_of_100_000_events(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [RunId(uuid4()) for _ in range(400)]
    kinds = [
        StepDispatched(
            run_id=runs[number % 400],
            step_id=StepId(f"step-{number % 9}"),
            meerkat_id=MeerkatId(f"member-{number % 17}"),
        )
        for number in range(400 * 9)
    ]
    columns = [("step_dispatched", str(kind.run_id), kind.to_json()) for kind in kinds]
    now = Timestamp.now().sortable
    rows = [
        EventRow(cursor, "m", now, *columns[cursor % len(columns)]) for cursor in range(1, 100_001)
    ]

    def fill() -> Script[None]:
        yield ()
        return Commit(None, (Put(EVENTS, rows),))

    page.run(page.stores.engine.write(fill))
    took, size, after, more = 0.0, 0, 0, True
    found: list[int] = []
    while more:
        began = time.process_time()
        answer = page.run(page.inspector.call("event_index", f'{{"after_cursor": {after}}}'))
        took += time.process_time() - began
        index = json.loads(answer)["result"]
        found += index["cursors"]
        size, after, more = size + len(answer), index["cursors"][-1], index["more"]
    assert found == list(range(1, 100_001))
    with capsys.disabled():
        print(f"\nindex of 100,000 events: {took:.2f} s of CPU, {size:,} characters")
