"""Import, export, and erasure."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from meerkat.archives import RELEASES, archive
from mobstore import MobId, MobReset, NewMobEvent
from support.pages import Page


def look(page: Page) -> list[Any]:
    """Return everything that the page shows of the sample."""
    runs = page.ask("runs", mob_id="tide-desk")
    return [
        page.ask("overview"),
        page.ask("events"),
        page.ask("roster", mob_id="tide-desk"),
        runs,
        *(page.ask("run", run_id=run["run_id"]) for run in runs["runs"]),
    ]


def test_a_database_of_the_reference(page: Page, sample: Path) -> None:
    size = sample.stat().st_size
    assert page.ask("check_file", path=str(sample)) == {"format": "meerkat", "bytes": size}
    report = page.ask("import_file", path=str(sample))
    counts = [report[name] for name in ("events", "runs", "specs", "realm_profiles")]
    assert (report["format"], counts, report["left_out"]) == ("meerkat", [99, 8, 2, 2], [])
    assert page.told[-1] == (112, 112)
    assert page.told == sorted(page.told)


def test_unreadable_rows_are_skipped_and_listed(page: Page, sample: Path) -> None:
    with closing(sqlite3.connect(sample)) as file:
        file.execute("UPDATE mob_events SET event_json = '{}' WHERE cursor = 7")
        file.commit()
    report = page.ask("import_file", path=str(sample))
    assert report["events"] == 98
    (told,) = report["left_out"]
    assert "table mob_events, key 7" in told
    assert report["more_left_out"] == 0


def test_rows_of_other_tables_are_counted(page: Page, sample: Path) -> None:
    with closing(sqlite3.connect(sample)) as file:
        file.executescript("CREATE TABLE leases (x); INSERT INTO leases VALUES (1), (2)")
    report = page.ask("import_file", path=str(sample))
    assert (report["events"], report["left_out"], report["other_tables"]) == (99, [], 2)


def test_the_first_of_many_unreadable_rows_are_listed(page: Page, sample: Path) -> None:
    with closing(sqlite3.connect(sample)) as file:
        file.executemany(
            "INSERT INTO mob_events (cursor, event_json) VALUES (?, '{}')",
            [(cursor,) for cursor in range(1000, 2200)],
        )
        file.commit()
    report = page.ask("import_file", path=str(sample))
    assert (len(report["left_out"]), report["more_left_out"]) == (100, 1100)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("letter.txt", b"Dear editor,"),
        ("empty.db", b""),
        ("mob.redb", b"redb" + b"\0" * 100),
        ("torn.db", b"SQLite format 3\0" + b"\xff" * 3000),
        ("other.zip", b"PK\x03\x04" + b"\0" * 100),
    ],
)
def test_other_files(page: Page, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    failure = page.failure("import_file", path=str(path))
    assert failure["kind"] == "wrong_file"
    assert name in failure["message"]
    assert str(tmp_path) not in failure["message"]
    assert page.ask("overview")["empty"]


def test_a_missing_file(page: Page, tmp_path: Path) -> None:
    assert page.failure("check_file", path=str(tmp_path / "x.db"))["kind"] == "wrong_file"
    assert page.failure("check_file", path=str(tmp_path))["kind"] == "wrong_file"


def test_a_torn_database_changes_nothing(page: Page, sample: Path) -> None:
    sample.write_bytes(sample.read_bytes()[:60_000])
    assert page.failure("import_file", path=str(sample))["kind"] == "wrong_file"
    assert page.ask("overview")["empty"]


def test_an_import_needs_an_empty_store(tide_desk: Page, sample: Path) -> None:
    before = look(tide_desk)
    failure = tide_desk.failure("import_file", path=str(sample))
    assert failure["kind"] == "not_empty"
    assert look(tide_desk) == before


def test_a_store_with_a_deleted_event_is_not_empty(page: Page, sample: Path) -> None:
    event = NewMobEvent(mob_id=MobId("m"), kind=MobReset())
    page.run(page.stores.events.append(event))
    page.run(page.stores.events.clear())  # its cursor stays used
    assert not page.ask("overview")["empty"]
    assert page.failure("import_file", path=str(sample))["kind"] == "not_empty"


def test_export_erase_import(tide_desk: Page, tmp_path: Path) -> None:
    tide_desk.ask("demo_start")
    before = look(tide_desk)
    path = tmp_path / "mobs.zip"
    exported = tide_desk.ask("export_file", path=str(path))
    assert exported == {"path": str(path), "bytes": path.stat().st_size}
    assert tide_desk.told[-1][0] == tide_desk.told[-1][1] > 0
    tide_desk.ask("erase")
    assert tide_desk.ask("check_file", path=str(path))["format"] == "mobstore"
    report = tide_desk.ask("import_file", path=str(path))
    assert (report["format"], report["runs"], report["left_out"]) == ("mobstore", 9, [])
    assert look(tide_desk) == before


def test_a_damaged_export(tide_desk: Page, tmp_path: Path) -> None:
    path = tmp_path / "mobs.zip"
    tide_desk.ask("export_file", path=str(path))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    tide_desk.ask("erase")
    assert tide_desk.failure("import_file", path=str(path))["kind"] == "wrong_file"
    assert tide_desk.ask("overview")["empty"]


def test_erasing_leaves_nothing(sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    page = Page(f"sqlite:{path}")
    page.ask("import_file", path=str(sample))
    page.ask("demo_start")
    with closing(sqlite3.connect(path)) as file:
        before = file.execute("SELECT value FROM meta").fetchall()
    assert page.ask("erase") == {"erased": True}
    assert page.ask("overview") == {
        "events": 0, "runs": 0, "empty": True, "imported_from": None, "mobs": [], "profiles": [],
    }  # fmt: skip
    page.ask("erase")  # of an empty store
    page.close()
    with closing(sqlite3.connect(path)) as file:
        tables = [
            name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        rows = {name: file.execute(f"SELECT count(*) FROM {name}").fetchone() for name in tables}
        assert file.execute("SELECT value FROM meta").fetchall() != before
    assert len(rows) > 10
    assert rows.pop("meta") == (1,)
    assert set(rows.values()) == {(0,)}


def test_an_archive_says_what_it_is(page: Page, tmp_path: Path) -> None:
    page.ask("import_file", path=str(archive(tmp_path / "old.db", RELEASES[1])))
    assert page.ask("overview")["imported_from"] == "0.7"
    (run, *_) = page.ask("runs", mob_id="tide-desk")["runs"]
    details = page.ask("run", run_id=run["run_id"])
    assert '"flow_authority_inputs"' in page.ask("document", ref=details["extra"])["text"]
    members = {name for event in page.ask("events")["events"] for name in event["members"]}
    assert "scout-1" in members
    definition = page.ask("document", ref={"of": "spec", "id": "tide-desk"})
    assert '"by_role"' in definition["text"]
    page.ask("erase")
    assert page.ask("overview")["imported_from"] is None
