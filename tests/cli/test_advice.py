"""Arguments that belong to another command, or in another place: the message says what to type."""

from __future__ import annotations

import gzip
import re
import shlex
import shutil
from pathlib import Path

import pytest

import mobstore
from cli.command_line import run
from mobstore.cli import definitions

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "tide.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    assert run("import", "tide.db", "sqlite:mobs.db", folder=folder).code == 0
    assert run("export", "sqlite:mobs.db", "backup.zip", folder=folder).code == 0
    shutil.copy(folder / "backup.zip", folder / "last backup.zip")
    shutil.copy(folder / "backup.zip", folder / "tide.zip")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "folder")


ADVICE = [
    (
        "verify backup.zip",
        "backup.zip is an export, not a store; type `mobstore import backup.zip sqlite:backup.db`,"
        " then `mobstore verify sqlite:backup.db`",
    ),
    (
        "info sqlite:backup.zip --json",
        "backup.zip is an export, not a store; type `mobstore import backup.zip sqlite:backup.db`,"
        " then `mobstore info sqlite:backup.db`",
    ),
    (
        "runs 'last backup.zip'",
        "last backup.zip is an export, not a store; type `mobstore import 'last backup.zip'"
        " 'sqlite:last backup.db'`, then `mobstore runs 'sqlite:last backup.db'`",
    ),
    (
        "copy backup.zip sqlite:new.db",
        "backup.zip is an export, not a store; type `mobstore import backup.zip sqlite:backup.db`",
    ),
    (
        "copy sqlite:mobs.db new.zip",
        "new.zip is a file, not a store; type `mobstore export sqlite:mobs.db new.zip`",
    ),
    (
        "import sqlite:mobs.db sqlite:new.db",
        "sqlite:mobs.db is a store, not a file; type `mobstore copy sqlite:mobs.db sqlite:new.db`",
    ),
    (
        "import sqlite:new.db backup.zip",
        "FILE comes first; type `mobstore import backup.zip sqlite:new.db`",
    ),
    (
        "import sqlite:new.db tide.db",
        "FILE comes first; type `mobstore import tide.db sqlite:new.db`",
    ),
    (
        "export sqlite:mobs.db sqlite:new.db",
        "sqlite:new.db is a store, not a file; type `mobstore copy sqlite:mobs.db sqlite:new.db`",
    ),
    (
        "export new.zip sqlite:mobs.db",
        "URL comes first; type `mobstore export sqlite:mobs.db new.zip`",
    ),
    (
        "profiles tide.zip",
        "tide.zip is an export, not a store; type `mobstore import tide.zip"
        " sqlite:tide-restored.db`, then `mobstore profiles sqlite:tide-restored.db`",
    ),
    ("runs mobs.db", "mobs.db is a path, not a URL; use sqlite:mobs.db"),
    ("import backup.zip new.db", "new.db is a path, not a URL; use sqlite:new.db"),
]


@pytest.mark.parametrize(("typed", "advice"), ADVICE, ids=[typed for typed, _ in ADVICE])
def test_a_wrong_argument_is_answered_with_the_command_to_type(
    folder: Path, typed: str, advice: str
) -> None:
    before = {path.name for path in folder.iterdir()}
    ended = run(*shlex.split(typed), folder=folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.errors.endswith(f": {advice}\n")
    assert {path.name for path in folder.iterdir()} == before
    for command in re.findall("`mobstore (.*?)`", advice):
        assert run(*shlex.split(command), folder=folder).code == 0, command


def test_a_file_that_cannot_exist_is_no_export(folder: Path) -> None:
    ended = run("info", f"sqlite:{'x' * 5000}", folder=folder)
    assert (ended.code, ended.out) == (1, "")
    assert ended.errors.startswith("Error: ")


def test_diff_takes_an_export_by_its_name_alone(folder: Path) -> None:
    ended = run("diff", "sqlite:mobs.db", "sqlite:backup.zip", folder=folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.errors.endswith(": backup.zip is an export, not a store; type backup.zip\n")
    assert run("diff", "sqlite:mobs.db", "backup.zip", folder=folder).code == 0


def test_a_file_with_a_name_like_a_url(folder: Path) -> None:
    name = "sqlite:x.zip"
    assert run("export", "sqlite:mobs.db", folder / name, folder=folder).code == 0
    assert run("import", name, "sqlite:new.db", folder=folder).code == 0


def test_a_wrong_argument_that_the_library_finds_ends_with_2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reject(*_: object, **__: object) -> None:
        raise mobstore.UsageError("option x takes y")

    monkeypatch.setattr(definitions, "open_existing", reject)
    ended = run("specs", "memory:")
    assert (ended.code, ended.out) == (2, "")
    assert ended.errors.endswith("Error: option x takes y\n")
