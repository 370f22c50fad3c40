"""The check of many events at once accepts nothing that the check of one row rejects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest

from mobstore import MobEvent, Timestamp
from mobstore.codec.events import event_row
from mobstore.maintenance.row_check import are_sound, check_row
from mobstore.scripts.tables import EVENTS, EventRow
from mobstore.testing.kinds import every_kind

TIME = Timestamp("2026-03-02T08:00:01.329000970Z")
SOUND = [
    event_row(MobEvent(cursor=n, timestamp=TIME, mob_id="tide-desk", kind=kind))
    for n, kind in enumerate(every_kind(), 1)
]
RUN = "24ede6a4-6b4c-4242-8a23-d5962217bead"
STARTED = f'{{"type":"flow_started","run_id":"{RUN}","flow_id":"f","params":'


def started(*kinds: str) -> list[EventRow]:
    """Return rows of started flows, each with any text as its kind."""
    return [
        EventRow(n, "m", TIME.sortable, "flow_started", RUN, kind)
        for n, kind in enumerate(kinds, 1)
    ]


def changed(row: EventRow) -> Iterator[EventRow]:
    """Yield rows with one column that no store would have written, and some that one would."""
    for cursor in (0, -1, True, 2**63 - 2, 2**63 - 1, 2**64, 1.0, "1", None):
        yield row._replace(cursor=cursor)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    others: Any = ("", "x" * 2**16, "x" * (2**16 + 1), "\ud800", "\0", b"m", 1, None)
    for column, value in product(("mob_id", "type", "run_id", "kind"), others):
        yield row._replace(**{column: value})
    for column in ("type", "run_id", "kind"):
        yield row._replace(**{column: getattr(row, column).upper() + " "})
    for time in (
        "2026-02-30T08:00:01.329000970Z",
        "2026-02-28T24:00:01.329000970Z",
        "2026-02-28T23:59:60.000000000Z",
        "2026-02-28T23:59:61.000000000Z",
        "0000-02-29T00:00:00.000000000Z",
        "Y012345-02-28T00:00:00.000000000Z",
        "Y012345-02-30T00:00:00.000000000Z",
        "-999999-02-28T00:00:00.000000000Z",
        "2026-02-28T08:00:01Z",
        "2026-02-28 08:00:01.329000970Z",
        "",
        None,
    ):
        yield row._replace(timestamp=time)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    document = json.loads(row.kind)
    for kind in (
        json.dumps(document),
        json.dumps(document, separators=(",", ":"), sort_keys=True),
        json.dumps({**document, "other": 1}, separators=(",", ":")),
        row.kind.replace('{"type"', '{"type":"mob_reset","type"', 1),
        row.kind.replace("e", "\\u0065"),
        row.kind.replace('"', ""),
        f"{row.kind},{row.kind}",
        f"{row.kind}\n",
        row.kind[:-1],
    ):
        yield row._replace(kind=kind)


def faults(rows: Sequence[EventRow]) -> bool:
    return any(check_row(EVENTS, row).faults for row in rows)


def test_rows_of_a_store_are_sound() -> None:
    assert are_sound(EVENTS, SOUND)
    assert not faults(SOUND)


@pytest.mark.parametrize("place", range(len(SOUND)))
def test_changed_rows(place: int) -> None:
    for row in changed(SOUND[place]):
        rows = [SOUND[0], row, SOUND[-1]]
        assert are_sound(EVENTS, rows) <= (not faults(rows)), row


@pytest.mark.parametrize(
    "params",
    [
        "[" * 130 + "]" * 130,
        "[" * 124 + "]" * 124,
        str(2**64),
        str(-(2**63) - 1),
        "-0",
        "1.0",
        "1e2",
        "1e400",
        "NaN",
        '{"a":1,"a":1}',
        '{"b":1,"a":1}',
        '"\\ud800"',
        '"\\/"',
        "null",
        "{}",
    ],
)
def test_free_json(params: str) -> None:
    rows = started(f"{STARTED}{params}}}")
    assert are_sound(EVENTS, rows) <= (not faults(rows))


def test_documents_across_rows_are_found() -> None:
    """Joined, these are the documents of as many sound rows."""
    whole = STARTED + "[]}"
    for kinds in (
        (STARTED + "[{}", f"{whole}]}}", f"{whole},{whole}"),
        (STARTED + '"x', 'y"}', f"{whole},{whole}"),
        (f"{whole},{whole}", whole[:70], whole[71:]),
    ):
        rows = started(*kinds)
        assert faults(rows)
        assert not are_sound(EVENTS, rows)
