"""Upgrades of an earlier format: all or nothing, when the file is opened for writing."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import UUID

import pytest

from engines.children import open_new
from engines.earlier import (
    TABLES_1,
    Content,
    content,
    die_upgrading,
    make_format_1,
    open_once,
    use_as_format_1,
)
from engines.support import hear, output, plain, query, running, side_files, tell
from mobstore import MobStoreError, ReadFailedError, Timestamp, WriteFailedError, open_stores
from mobstore.engines.sqlite import upgrade
from mobstore.maintenance.verification import verify
from mobstore.scripts.tables import FORMAT, TABLES
from mobstore.testing.samples import tag_of

pytestmark = pytest.mark.process

ALL = tuple(table.name for table in TABLES)
LATER = tuple(name for name in ALL if name not in TABLES_1)
EVENTS = 27  # of the file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mobs.db"
    make_format_1(path)
    return path


@pytest.fixture
def expected(path: Path, tmp_path: Path) -> Content:
    """The content of the file once it is upgraded."""
    asyncio.run(open_once(new := tmp_path / "new.db"))
    return {
        **content(path, TABLES_1),
        **{name: [] for name in LATER},
        "format": [(FORMAT,)],
        "layout": content(new, ())["layout"],
        "run_claims": [
            (run_id, number, mob_id, flow_id, status, created_at, "", 0, 0)
            for run_id, number, mob_id, flow_id, status, _, created_at, *_ in content(
                path, ("runs",)
            )["runs"]
            if status in {"pending", "running"}
        ],
    }


def test_there_is_a_step_from_every_earlier_format() -> None:
    assert upgrade.EARLIER.keys() == set(range(1, FORMAT))


def test_the_file_is_of_format_1(path: Path) -> None:
    found = content(path, TABLES_1)
    assert found["format"] == [(1,)]
    assert len(found["events"]) == EVENTS
    assert {status for _, _, _, _, status, *_ in found["runs"]} == {
        "pending", "running", "completed", "failed", "canceled"
    }  # fmt: skip
    assert all(found.values()), "every table has rows"


def test_everything_is_as_before_and_runs_can_be_claimed(path: Path, expected: Content) -> None:
    asyncio.run(open_once(path))
    assert content(path, ALL) == expected
    assert len(expected["run_claims"]) == 11
    assert side_files(path) == ["new.db"]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]

    async def claim_all() -> list[tuple[UUID, Timestamp]]:
        claimed: list[tuple[UUID, Timestamp]] = []
        async with open_stores(f"sqlite:{path}") as stores:
            assert not (await verify(stores)).problems
            for header in await stores.runs.run_headers(limit=100):
                going = header.status in {"pending", "running"}
                assert (header.holder, header.epoch) == (None, 0)
                assert header.due_at == (header.created_at if going else None)
            while (claim := await stores.runs.claim_next("worker", ttl=60)) is not None:
                assert claim.epoch == len(claimed) + 1
                claimed.append((claim.run.run_id, claim.run.created_at))
        return claimed

    claimed = asyncio.run(claim_all())
    assert {str(run_id) for run_id, _ in claimed} == {row[0] for row in expected["run_claims"]}
    assert claimed == sorted(claimed, key=lambda one: one[1]), "oldest first"


def test_a_run_from_the_future_is_due_at_once(path: Path) -> None:
    query(path, "UPDATE runs SET created_at = 'Y012000-01-01T00:00:00.000000000Z' WHERE number = 1")
    before = Timestamp.now()
    asyncio.run(open_once(path))
    ((due_at,),) = query(path, "SELECT due_at FROM run_claims WHERE number = 1")
    assert before <= Timestamp.from_sortable(due_at) <= Timestamp.now()


def test_a_process_with_an_older_mobstore_is_rejected_from_then_on(path: Path) -> None:
    with running(use_as_format_1, path) as process:
        assert hear(process) == "open"
        tell(process, "go")
        assert [hear(process), hear(process)] == ["fine", "fine"]
        asyncio.run(open_once(path))
        tell(process, "go")
        for kind in ("WriteFailedError", "ReadFailedError"):
            said = hear(process)
            assert said.startswith(kind)
            assert "upgraded by a newer mobstore while it was open: it has format 2" in said
    with running(use_as_format_1, path) as process:
        assert "has mobstore format 2, this mobstore knows 1; update it" in hear(process)
    assert query(path, "SELECT count(*) FROM events") == [(EVENTS + 1,)]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (sqlite3.OperationalError("no such function"), WriteFailedError),
        (ReadFailedError("a step rejects the file"), ReadFailedError),
    ],
)
def test_a_failed_step_changes_nothing(
    path: Path, expected: Content, error: Exception, raised: type[MobStoreError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    step = upgrade.EARLIER[1]

    def fail(connection: sqlite3.Connection) -> None:
        step.to_next(connection)
        raise error

    before = content(path, TABLES_1)
    with monkeypatch.context() as patches:
        patches.setitem(upgrade.EARLIER, 1, step._replace(to_next=fail))
        with pytest.raises(raised):
            asyncio.run(open_once(path))
    assert content(path, TABLES_1) == before
    asyncio.run(open_once(path))
    assert content(path, ALL) == expected


def test_by_two_processes_at_once(path: Path, expected: Content, tmp_path: Path) -> None:
    copies = [Path(shutil.copy(path, tmp_path / f"{n}.db")) for n in range(8)]
    with ExitStack() as stack:
        processes = [stack.enter_context(running(open_new, name)) for name in ("one", "two")]
        for process in processes:
            assert hear(process) == "ready"
        for copy in copies:
            begin = time.time() + 0.05
            for process in processes:
                tell(process, json.dumps([str(copy), begin]))
            assert [hear(process) for process in processes] == ["fine", "fine"]

    async def appended(copy: Path) -> list[str]:
        async with open_stores(f"sqlite:{copy}", create=False) as stores:
            return [tag_of(event.kind) for event in await stores.events.poll(EVENTS, 10)]

    for copy in copies:
        assert sorted(asyncio.run(appended(copy))) == ["one", "two"]
        with closing(plain(copy)) as connection:
            connection.execute("DELETE FROM events WHERE cursor > ?", (EVENTS,))
            connection.execute(
                "UPDATE counters SET value = ? WHERE name = 'next_cursor'", (EVENTS + 1,)
            )
        assert content(copy, ALL) == expected


@pytest.mark.slow
def test_killed_in_the_middle(path: Path, expected: Content, tmp_path: Path) -> None:
    """Before whichever statement it dies, the file is the earlier one, or wholly the new one."""
    died = int(output(die_upgrading, path, tmp_path))
    copies = [tmp_path / f"{number}.db" for number in range(died)]
    formats = [query(copy, "PRAGMA user_version") for copy in copies]
    assert len(formats) > 3
    assert formats == sorted(formats)
    assert formats[-1] == [(FORMAT,)]
    for copy in copies:
        asyncio.run(open_once(copy))
        assert content(copy, ALL) == expected
