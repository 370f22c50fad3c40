"""Events of kinds that are not known come over from a database, and go back, byte for byte."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import mobstore
from mobstore.meerkat import export_meerkat, import_meerkat

OTHERS = (
    '{"type":"remote_turn_bound","z":1,"run_id":"24ede6a4-6b4c-4242-8a23-d5962217bead","a":{"c":'
    '[1.0,-0.0,18446744073709551615,1e-7,null],"__proto__":{}},"fields":[],"é":"\u2028\\u0000/"}',
    '{"type":"mob_reset","by":null}',
    '{"type":"meerkat_retired","meerkat_id":"scout-1","role":"scout","member_ref":{"kind":"session"'
    ',"session_id":"018f3c1e-5a00-7000-8000-00000000000a","bridge":{"z":1,"a":2}}}',
    '{"type":"step_dispatched","run_id":"24ede6a4-6b4c-4242-8a23-d5962217bead","step_id":"s","target"'
    ':{"identity":"scout-1","generation":1}}',
)
RUN = "24ede6a4-6b4c-4242-8a23-d5962217bead"


def with_others(path: Path) -> list[bytes]:
    """Replace the first events of a database, and return all of their JSON."""
    with closing(sqlite3.connect(path)) as file:
        for cursor, kind in enumerate(OTHERS, 1):
            (stored,) = file.execute(
                "SELECT event_json FROM mob_events WHERE cursor = ?", (cursor,)
            ).fetchone()
            start = stored.decode().partition('"kind":')[0]
            document = f'{start}"kind":{kind}}}'.encode()
            file.execute(
                "UPDATE mob_events SET event_json = ? WHERE cursor = ?", (document, cursor)
            )
        file.commit()
    return events_of(path)


def events_of(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as file:
        return [row for (row,) in file.execute("SELECT event_json FROM mob_events ORDER BY cursor")]


def test_there_and_back(sample: Path, tmp_path: Path) -> None:
    documents = with_others(sample)
    archive = io.BytesIO()

    async def check() -> None:
        async with mobstore.open_stores(f"sqlite:{tmp_path / 'mobs.db'}") as stores:
            report = await import_meerkat(sample, stores)
            assert (report.events, report.left_out) == (99, [])
            log = await stores.events.replay_all()
            assert [one.to_json().encode() for one in log] == documents
            assert await stores.events.poll_json() == [text.decode() for text in documents]
            others = [one for one in log if isinstance(one.kind, mobstore.OtherEvent)]
            assert [one.kind.to_json() for one in others] == list(OTHERS)
            of_run = [one.cursor for one in await stores.events.poll(run_id=RUN)]
            assert of_run[:2] == [1, 4]
            named = [one.cursor for one in await stores.events.poll(member="scout-1")]
            assert named[:2] == [3, 4]
            assert (await mobstore.verify(stores)).problems == ()
            exported = await export_meerkat(stores, tmp_path / "back.db")
            assert exported.unknown_events == 1
            await mobstore.export_stores(stores, archive)
        assert events_of(tmp_path / "back.db") == documents
        async with mobstore.open_stores("memory:") as stores:
            await mobstore.import_stores(io.BytesIO(archive.getvalue()), stores)
            assert [text.encode() for text in await stores.events.poll_json()] == documents

    asyncio.run(check())


def test_a_known_kind_that_lacks_something_is_left_out(sample: Path) -> None:
    with closing(sqlite3.connect(sample)) as file:
        wrong = {
            "timestamp": "2026-03-04T05:06:07Z",
            "mob_id": "m",
            "kind": {"type": "peers_wired"},
        }
        file.execute(
            "UPDATE mob_events SET event_json = ? WHERE cursor = 9",
            (json.dumps({"cursor": 9, **wrong}).encode(),),
        )
        file.commit()

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            report = await import_meerkat(sample, stores, skip_unreadable=True)
            assert report.events == 98
            assert "a: Field required" in report.left_out[0].reason

    asyncio.run(check())
