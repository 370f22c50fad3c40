"""copy, export and import: messages, files and exit codes."""

from __future__ import annotations

import gzip
import json
import os
import pty
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli.command_line import Ended, run, run_process
from meerkat.installations import installation, state

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
pytestmark = pytest.mark.slow

MOVED = "99 events, 8 runs, 2 specs, 2 realm profiles\n"
COUNTS: dict[str, object] = {
    "events": 99,
    "runs": 8,
    "specs": 2,
    "realm_profiles": 2,
    "left_out": [],
    "more_left_out": 0,
}


class Folder:
    """A working directory with a database of meerkat-mob."""

    def __init__(self, path: Path, run: Callable[..., Ended] = run) -> None:
        self.path, self.run = path, run
        (path / "mob.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))

    def output(self, *arguments: str) -> str:
        """Run a command that succeeds; return its output."""
        code, out, errors = self.run(*arguments, folder=self.path)
        assert (code, errors) == (0, "")
        return out

    def message(self, *arguments: str, code: int = 1) -> str:
        """Run a command that fails; return its message."""
        ended, out, errors = self.run(*arguments, folder=self.path)
        assert (ended, out) == (code, "")
        return errors

    def names(self) -> set[str]:
        return {path.name for path in self.path.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def rows(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master ORDER BY name")]
        return [
            file.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
            for name in tables
            if not name.startswith("sqlite_") and "_by_" not in name
        ]


def test_import_copy_and_export_are_exact(tmp_path: Path) -> None:
    folder = Folder(tmp_path, run_process)
    assert folder.output("import", "mob.db", "sqlite:a.db") == f"imported {MOVED}"
    assert folder.output("copy", "sqlite:a.db", "sqlite:b.db") == f"copied {MOVED}"
    assert folder.output("export", "sqlite:b.db", "mobs.zip") == f"exported {MOVED}"
    assert folder.output("import", "mobs.zip", "sqlite:c.db") == f"imported {MOVED}"
    assert rows(folder.path / "a.db") == rows(folder.path / "b.db") == rows(folder.path / "c.db")
    assert (
        folder.output("export", "sqlite:c.db", "back.db", "--format", "meerkat")
        == f"exported {MOVED}"
    )
    assert rows(folder.path / "back.db") == rows(folder.path / "mob.db")
    assert folder.names() == {"mob.db", "a.db", "b.db", "c.db", "mobs.zip", "back.db"}


def test_json(folder: Folder) -> None:
    imported = json.loads(folder.output("import", "mob.db", "sqlite:a.db", "--json"))
    file = {"path": "mob.db", "offset": 0, "first_cursor": 1, "last_cursor": 99}
    assert imported == {
        **COUNTS,
        "other_tables": {},
        "files": [{**file, "events": 99, "runs": 8, "specs": 2, "realm_profiles": 2}],
        "files_left_out": [],
        "imported_from": None,
    }
    for arguments in (
        ("copy", "sqlite:a.db", "sqlite:b.db"),
        ("export", "sqlite:b.db", "mobs.zip"),
        ("import", "mobs.zip", "sqlite:c.db"),
    ):
        assert json.loads(folder.output(*arguments, "--json")) == COUNTS
    told = folder.output("export", "sqlite:c.db", "back.db", "--format", "meerkat", "--json")
    assert json.loads(told) == {**COUNTS, "unknown_events": 0}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_import_without_output_is_complete(folder: Folder, options: tuple[str, ...]) -> None:
    arguments = ("import", "mob.db", "sqlite:full.db", *options)
    ended = run(*arguments, folder=folder.path, device=Path("/dev/full"))
    assert ended.code == 1
    assert "the import is complete, but standard output cannot be written" in ended.errors
    assert folder.output("info", "sqlite:full.db")


def test_events_that_meerkat_cannot_read_are_counted(folder: Folder) -> None:
    with closing(sqlite3.connect(folder.path / "mob.db")) as file:
        file.execute(
            "UPDATE mob_events SET event_json = json_set(event_json, '$.kind', json_object('type',"
            " 'mob_stopped')) WHERE cursor = 7"
        )
        file.commit()
    folder.output("import", "mob.db", "sqlite:a.db")
    told = folder.output("export", "sqlite:a.db", "back.db", "--format", "meerkat")
    assert "cannot read 1 event of unknown kinds" in told


def test_left_out_rows_are_listed(folder: Folder) -> None:
    with closing(sqlite3.connect(folder.path / "mob.db")) as file:
        file.execute("UPDATE mob_events SET event_json = x'7b7d' WHERE cursor = 7")
        file.commit()
    assert "table mob_events, key 7: " in folder.message("import", "mob.db", "sqlite:a.db")
    told = folder.output("import", "mob.db", "sqlite:b.db", "--skip-unreadable")
    assert told.startswith("imported 98 events, 8 runs")
    assert "left out: table mob_events, key 7: " in told
    told = folder.output("import", "mob.db", "sqlite:c.db", "--skip-unreadable", "--json")
    assert json.loads(told)["left_out"][0].startswith("table mob_events, key 7: ")


@pytest.mark.parametrize("layout", ["mobstore", "meerkat"])
def test_a_file_is_replaced_only_by_force(folder: Folder, layout: str) -> None:
    folder.output("import", "mob.db", "sqlite:a.db")
    file = folder.path / "file"
    file.write_text("dear", encoding="utf-8")
    command = ("export", "sqlite:a.db", "file", "--format", layout)
    assert "file exists already; it was not changed" in folder.message(*command)
    assert file.read_text(encoding="utf-8") == "dear"
    folder.output(*command, "--force")
    assert zipfile.is_zipfile(file) == (layout == "mobstore")
    assert folder.names() == {"mob.db", "a.db", "file"}


@pytest.mark.parametrize("layout", ["mobstore", "meerkat"])
def test_an_export_does_not_overwrite_its_own_store(folder: Folder, layout: str) -> None:
    folder.output("import", "mob.db", "sqlite:a.db")
    before = (folder.path / "a.db").read_bytes()
    with (folder.path / "a.db").open("ab") as out:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "mobstore", "export", "sqlite:a.db", "-"),
                *("--format", layout),
            ],
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
            cwd=folder.path,
        )
    assert ended.returncode == 1
    assert b"the file is a SQLite database in use; write to another one" in ended.stderr
    assert (folder.path / "a.db").read_bytes() == before
    assert folder.names() == {"mob.db", "a.db"}


@pytest.fixture
def mobs(folder: Folder) -> Path:
    """An installation of meerkat-mob in the directory `mobs`."""
    return installation(folder.path / "mobs")


ALL = "6 events, 3 runs, 3 specs, 2 realm profiles\n"
CURSORS = """mobs/Attic.db: 2 events, cursors + 0
mobs/desk.db: 3 events, cursors + 2
mobs/m%2Ft.db: 1 event, cursors + 13
mobs/realm_profiles.db: no events
"""


def test_a_directory_is_imported_and_exported(folder: Folder, mobs: Path) -> None:
    before = state(mobs)
    assert folder.output("import", "mobs", "sqlite:a.db") == f"imported {ALL}{CURSORS}"
    assert folder.output("verify", "sqlite:a.db").startswith("sound")
    command = ("export", "sqlite:a.db", "back/", "--format", "meerkat")
    assert folder.output(*command) == f"exported {ALL}"
    back = folder.path / "back"
    assert {path.name for path in back.iterdir()} == {path.name for path in mobs.iterdir()}
    assert "back is not empty" in folder.message(*command)
    assert "a directory is not replaced" in folder.message(*command, "--force", code=2)
    assert folder.output("import", "back", "sqlite:b.db").startswith(f"imported {ALL}")
    (folder.path / "empty").mkdir()
    folder.output("export", "sqlite:a.db", "empty", "--format", "meerkat")
    assert len(list((folder.path / "empty").iterdir())) == 4
    assert "it is a directory" in folder.message("export", "sqlite:a.db", "back")
    assert state(mobs) == before


def test_a_directory_as_json(folder: Folder, mobs: Path) -> None:
    (mobs / "notes.db").write_text("no database", encoding="utf-8")
    command = ("import", "mobs", "sqlite:a.db", "--skip-unreadable", "--json")
    report = json.loads(folder.output(*command))
    assert [(file["path"], file["offset"]) for file in report["files"]] == [
        ("mobs/Attic.db", 0), ("mobs/desk.db", 2), ("mobs/m%2Ft.db", 13),
        ("mobs/realm_profiles.db", 18),
    ]  # fmt: skip
    (left_out,) = report["files_left_out"]
    assert left_out["path"] == "mobs/notes.db"
    assert "is not a SQLite database" in left_out["reason"]


def test_unreadable_files_are_named_or_left_out(folder: Folder, mobs: Path) -> None:
    (mobs / "notes.db").write_text("no database", encoding="utf-8")
    with closing(sqlite3.connect(mobs / "desk.db")) as file:
        file.executescript("CREATE TABLE leases (x); INSERT INTO leases VALUES (1)")
    said = folder.message("import", "mobs", "sqlite:a.db")
    assert "mobs/notes.db is not a SQLite database" in said
    assert not (folder.path / "a.db").exists()
    assert folder.output("import", "mobs", "sqlite:a.db", "--skip-unreadable") == (
        f"imported {ALL}left out: mobs/notes.db is not a SQLite database; name"
        " one of meerkat-mob\nleft out: table leases: 1 row, not of meerkat-mob 0.5.2\n" + CURSORS
    )
    for path in mobs.iterdir():
        path.write_text("no database", encoding="utf-8")
    said = folder.message("import", "mobs", "sqlite:b.db", "--skip-unreadable")
    assert "none of 5 files can be imported: mobs/Attic.db is not" in said
    assert not (folder.path / "b.db").exists()


@pytest.mark.usefixtures("mobs")
def test_into_a_store_that_is_not_empty(folder: Folder) -> None:
    folder.output("import", "mob.db", "sqlite:a.db")
    before = rows(folder.path / "a.db")
    assert "is not empty" in folder.message("import", "mobs", "sqlite:a.db")
    assert "mob tide-desk of mob.db is already in the store" in folder.message(
        "import", "mob.db", "sqlite:a.db", "--into"
    )
    assert rows(folder.path / "a.db") == before
    assert f"imported {ALL}" in folder.output("import", "mobs", "sqlite:a.db", "--into")
    one = folder.output("import", "mobs/desk.db", "sqlite:b.db")
    assert "cursors" not in one
    one = folder.output("import", "mobs/Attic.db", "sqlite:b.db", "--into")
    assert "mobs/Attic.db: 2 events, cursors + 11\n" in one
    assert folder.output("verify", "sqlite:a.db").startswith("sound")
    (folder.path / "none").mkdir()
    assert "none has no file *.db" in folder.message("import", "none", "sqlite:c.db")
    assert not (folder.path / "c.db").exists()


def test_errors(folder: Folder) -> None:
    folder.output("import", "mob.db", "sqlite:a.db")
    folder.output("export", "sqlite:a.db", "mobs.zip")
    damaged = bytearray((folder.path / "mobs.zip").read_bytes())
    damaged[200] ^= 8
    (folder.path / "damaged.zip").write_bytes(damaged)
    (folder.path / "cut.zip").write_bytes(damaged[:5000])
    (folder.path / "text").write_text("hello", encoding="utf-8")
    before = folder.names()
    for arguments, code, words in (
        (("import", "mobs.zip", "sqlite:a.db"), 1, "the target store is not empty"),
        (("copy", "sqlite:a.db", "sqlite:a.db"), 1, "the target store is not empty"),
        (("copy", "sqlite:missing.db", "sqlite:new.db"), 1, "missing.db does not exist"),
        (("export", "sqlite:missing.db", "new.zip"), 1, "missing.db does not exist"),
        (
            ("export", "sqlite:a.db", "no/new.zip"),
            1,
            "the directory no does not exist",
        ),
        (("export", "sqlite:a.db", "new", "--format", "x"), 2, "'mobstore', 'meerkat'"),
        (("import", "missing.zip", "sqlite:new.db"), 1, "missing.zip is not a file"),
        (("import", "text", "sqlite:new.db"), 1, "text is not a SQLite database"),
        (("import", "cut.zip", "sqlite:new.db"), 1, "not a mobstore export"),
        (("import", "mobs.zip", "sqlite:new.db", "--skip-unreadable"), 2, "of meerkat-mob"),
        (("import", "mobs.zip", "sqlite:new.db", "--no-check"), 2, "of meerkat-mob"),
        (("import", "", "sqlite:new.db"), 2, "a path cannot be empty"),
        (("export", "sqlite:mobs.db", "", "--format", "meerkat"), 2, "a path cannot be empty"),
        (("import", "mobs.zip", "sqlite:new.db", "--into"), 2, "--into is only for databases"),
        (("import", "damaged.zip", "memory:"), 1, "cannot be read; the file is damaged"),
    ):
        assert words in folder.message(*arguments, code=code), arguments
    assert folder.names() == before


def test_progress_bar(folder: Folder) -> None:
    """A terminal shows a bar, which is removed at the end."""
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mobstore", "import", "mob.db", "sqlite:a.db"],
        cwd=folder.path,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    ) as process:
        os.close(terminal)
        out, _ = process.communicate()
    seen = b""
    while True:
        try:
            seen += os.read(person, 4096)
        except OSError:  # the other end is closed and all is read
            break
    os.close(person)
    assert process.returncode == 0
    assert out.decode() == f"imported {MOVED}"
    assert b"importing" in seen
    assert b"100%" in seen
