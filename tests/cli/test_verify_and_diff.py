"""`mobstore verify` and `mobstore diff`: output and exit codes."""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import mobstore
from cli.command_line import run, run_process
from mobstore.maintenance.transfer import export_stores
from mobstore.meerkat import import_meerkat

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Create a store of the sample, and an export beside it."""
    source, path = tmp_path / "tide-desk.db", tmp_path / "mobs.db"
    source.write_bytes(gzip.decompress(SAMPLE.read_bytes()))

    async def fill() -> None:
        async with mobstore.open_stores(f"sqlite:{path}") as stores:
            await import_meerkat(source, stores)
            with path.with_suffix(".zip").open("wb") as file:
                await export_stores(stores, file)

    asyncio.run(fill())
    return path


def damage(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()


def test_a_sound_store(path: Path) -> None:
    assert run_process("verify", f"sqlite:{path}") == (0, "sound: 254 rows\n", "")
    ended = run("verify", f"sqlite:{path}", "--json")
    assert (ended.code, ended.out) == (0, "")


def test_damage_is_reported_and_repaired(path: Path) -> None:
    damage(path, "UPDATE counters SET value = 7 WHERE name = 'next_cursor'")
    ended = run("verify", f"sqlite:{path}")
    assert ended.code == 1
    assert "next_cursor  it is not above the last cursor  repairable" in ended.out
    assert "problems in 254 rows: 0 repaired, 1 left; --repair can repair 1" in ended.out
    ended = run("verify", f"sqlite:{path}", "--repair")
    assert ended.code == 0
    assert "problems in 254 rows: 1 repaired, 0 left\n" in ended.out
    assert run("verify", f"sqlite:{path}").out == "sound: 254 rows\n"


def test_a_problem_that_is_left_ends_with_1(path: Path) -> None:
    damage(
        path,
        "UPDATE events SET type = 'mob_reset' WHERE cursor = 5",
        "UPDATE specs SET revision = 0, mob_id = mob_id || char(27) || '[2J'",
    )
    ended = run("verify", f"sqlite:{path}", "--repair", "--json")
    assert ended.code == 1
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {
            "table": "events",
            "key": [5],
            "what": "type does not match its kind",
            "repairable": True,
            "repaired": True,
        },
        *(
            {
                "table": "specs",
                "key": [f"{mob}\x1b[2J"],
                "what": "revision is 0",
                "repairable": False,
                "repaired": False,
            }
            for mob in ("night-desk", "tide-desk")
        ),
    ]
    assert "\x1b" not in run("verify", f"sqlite:{path}").out


def test_equal_stores(path: Path) -> None:
    ended = run_process("diff", f"sqlite:{path}", path.with_suffix(".zip"))
    assert ended == (0, "no differences\n", "")
    ended = run("diff", f"sqlite:{path}", f"sqlite:{path}", "--json")
    assert (ended.code, ended.out) == (0, "")


def test_differences(path: Path) -> None:
    damage(
        path,
        "DELETE FROM events WHERE cursor BETWEEN 20 AND 30 OR cursor = 32",
        'UPDATE events SET kind = \'{"type":"mob_reset"}\' WHERE cursor = 31',
        "UPDATE runs SET status = 'failed' WHERE number = 3",
        "DELETE FROM step_ledger WHERE run_id = (SELECT run_id FROM runs WHERE number = 3)",
        "DELETE FROM specs WHERE mob_id = 'night-desk'",
        "INSERT INTO realm_profiles SELECT 'new' || char(7), revision, profile, created_at,"
        " updated_at FROM realm_profiles LIMIT 1",
        "UPDATE counters SET value = 123 WHERE name = 'next_cursor'",
    )
    export, url = path.with_suffix(".zip"), f"sqlite:{path}"
    with closing(sqlite3.connect(path)) as file:
        ((changed,),) = file.execute("SELECT run_id FROM runs WHERE number = 3")
    ended = run("diff", export, url)
    assert (ended.code, ended.errors) == (1, "")
    assert ended.out.splitlines() == [
        "the latest cursor differs",
        f"events 20 to 30 of tide-desk: only in {export}",
        "event 31 of tide-desk: kind",
        f"event 32 of tide-desk: only in {export}",
        f"run {changed} of tide-desk: status, step_ledger",
        f"spec night-desk: only in {export}",
        f"realm profile new\\x07: only in {url}",
    ]
    lines = run("diff", url, export, "--json").out.splitlines()
    assert len(lines) == 17
    assert json.loads(lines[-3]) == {
        "kind": "run",
        "key": changed,
        "mob_id": "tide-desk",
        "only_in": None,
        "fields": ["status", "step_ledger"],
    }


def test_a_source_that_cannot_be_read_ends_with_2(path: Path) -> None:
    for other in ("sqlite:missing.db", path, "nonsense"):
        ended = run("diff", f"sqlite:{path}", other)
        assert (ended.code, ended.out) == (2, "")
        assert ended.errors.startswith("Error: ")
        assert "Traceback" not in ended.errors


def test_claims_and_consumers(path: Path) -> None:
    """`diff` compares them, `info` shows them, and an export that leaves them out says so."""
    export, url = path.with_suffix(".zip"), f"sqlite:{path}"
    time = "'2026-03-04T05:06:07.000000000Z'"
    damage(
        path,
        f"INSERT INTO claims VALUES ('night job', {time}, 'w-1', 7, 1)",
        "INSERT INTO counters VALUES ('next_epoch', 8)",
        f"INSERT INTO consumers VALUES ('projector' || char(7), 42, {time})",
        "INSERT INTO event_keys SELECT 'key', cursor, timestamp FROM events WHERE cursor = 9",
        "UPDATE run_claims SET holder = 'w-1', epoch = 6, ttl = 1",
    )
    with closing(sqlite3.connect(path)) as file:
        ((going, mob),) = file.execute("SELECT run_id, mob_id FROM run_claims")
    assert run("diff", export, url).out.splitlines() == [
        "the latest epoch differs",
        f"event key key: only in {url}",
        f"consumer projector\\x07: only in {url}",
        f"run {going} of {mob}: holder, epoch, ttl",
        f"claim night job: only in {url}",
    ]
    told = json.loads(run("info", url, "--json").out)
    assert told["claims"] == 2
    assert told["consumers"] == [{"name": "projector\x07", "cursor": 42}]
    shown = " ".join(run("info", url).out.split())
    assert "claims 2" in shown
    assert shown.endswith("projector\\x07 42")
    ended = run("export", "--format", "meerkat", url, path.with_suffix(".out"))
    assert ended.out.splitlines()[1:] == [
        "left out: 2 claims", "left out: 1 consumer", "left out: 1 event key"
    ]  # fmt: skip
    ended = run("export", "--format", "meerkat", "--force", "--json", url, path.with_suffix(".out"))
    assert json.loads(ended.out)["left_out"] == ["2 claims", "1 consumer", "1 event key"]
