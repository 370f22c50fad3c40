"""The built site: complete, compiled, self-contained, and rebuilt only as needed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

import build_site
import building
from lock_file import Info, Lock

ROOT = Path(__file__).parents[2]
INFO: Info = {
    "python": "3.14.2",
    "platform": "emscripten_5_0_3",
    "arch": "wasm32",
    "abi_version": "2026_0",
}


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def lock_of(site: Path) -> Lock:
    lock: Lock = json.loads((site / build_site.LOCK).read_bytes())
    return lock


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The commands of a build, which are recorded and not run."""
    noted: list[Sequence[str]] = []
    monkeypatch.setattr(building, "run", noted.append)
    return noted


pytestmark = pytest.mark.slow  # the first build of a clone downloads and compiles


def test_the_lock_names_every_wheel_by_its_hash(site: Path) -> None:
    entries = lock_of(site)["packages"].values()
    stated = {entry["file_name"]: entry["sha256"] for entry in entries}
    assert stated == {
        wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in site.rglob("*.whl")
    }


def test_the_lock_names_every_dependency(site: Path) -> None:
    packages = lock_of(site)["packages"]
    assert {"mobstore", "micropip", "pydantic", "pydantic-core"} < set(packages)
    assert packages["mobstore"]["depends"] == ["pydantic"]
    assert {name for entry in packages.values() for name in entry["depends"]} < set(packages)


def test_all_python_is_bytecode_of_one_version(site: Path) -> None:
    archives = [*site.rglob("*.whl"), *site.rglob("*.zip")]
    assert {"python_stdlib.zip", "inspector.zip", "console.zip"} < {
        archive.name for archive in archives
    }
    heads: set[bytes] = set()
    for archive in map(ZipFile, archives):
        assert [name for name in archive.namelist() if name.endswith(".py")] == []
        modules = [name for name in archive.namelist() if name.endswith(".pyc")]
        assert modules, archive.filename
        heads |= {archive.read(name)[:8] for name in modules}
    (head,) = heads
    assert head[4:] == bytes([1, 0, 0, 0])  # loaded without a check of the source


def test_the_lock_and_the_page_name_no_other_host(site: Path) -> None:
    texts = {
        name: content.decode()
        for name, content in contents(site).items()
        if re.search(r"\.(html|css|m?js|json|svg)$", name)
    }
    pages = {name: text for name, text in texts.items() if not name.startswith("pyodide/")}
    assert "index.html" in pages
    pages[build_site.LOCK] = texts[build_site.LOCK]
    for name, text in pages.items():
        hosts = set(re.findall(r"(?:https?:)?//([\w.-]+\.\w+)", text))
        assert hosts <= {"www.w3.org"}, name  # XML namespaces, which are not requested


def test_the_sample_is_a_database(site: Path) -> None:
    with sqlite3.connect(site / "samples" / "tide-desk.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_a_second_build_runs_nothing_and_gives_the_same(
    site: Path, tmp_path: Path, commands: list[Sequence[str]]
) -> None:
    build_site.build(tmp_path)
    assert commands == []
    assert contents(tmp_path) == contents(site)


def test_old_files_are_removed(site: Path, tmp_path: Path) -> None:
    build_site.build(tmp_path)
    (tmp_path / "old.js").write_text("")
    (tmp_path / "index.html").write_text("changed")
    build_site.build(tmp_path)
    assert contents(tmp_path) == contents(site)


@pytest.mark.usefixtures("site")
def test_a_folder_with_other_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(build_site.BuildError, match="contains something other"):
        build_site.build(tmp_path)
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_change_of_the_package_builds_only_its_own_wheel(site: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    ignored = shutil.ignore_patterns("build", "node_modules")
    shutil.copytree(ROOT / "web", tmp_path / "web", ignore=ignored)
    (tmp_path / "web" / "node_modules").symlink_to(ROOT / "web" / "node_modules")
    (tmp_path / "tests" / "golden").mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for sample in (ROOT / "tests" / "golden").glob("*.db.gz"):
        shutil.copy(sample, tmp_path / "tests" / "golden")
    with (tmp_path / "src" / "mobstore" / "errors.py").open("a") as module:
        module.write("\nNEW = 1\n")
    before = {
        file: file.stat().st_mtime_ns
        for file in (tmp_path / "web" / ".cache" / "compiled").rglob("*")
        if file.is_file() and not file.name.startswith("mobstore")
    }
    subprocess.run(
        [sys.executable, tmp_path / "web" / "tools" / "build_site.py", tmp_path / "out"],
        check=True,
        env=os.environ | {"npm_config_offline": "true"},
    )
    assert before == {file: file.stat().st_mtime_ns for file in before}
    old, new = contents(site), contents(tmp_path / "out")
    changed = {name for name in old | new if old.get(name) != new.get(name)}
    wheel = lock_of(site)["packages"]["mobstore"]["file_name"]
    assert changed == {build_site.LOCK, f"pyodide/{wheel}"}


@pytest.mark.usefixtures("site")
def test_another_hash_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "CACHE", tmp_path / "cache")
    pydantic = next(ROOT.glob("web/.cache/wheels/*/pydantic-*.whl"))
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(
        f"--no-index\n--find-links {pydantic.parent}\n"
        f"pydantic=={pydantic.name.split('-')[1]} --hash=sha256:{'0' * 64}\n"
    )
    with pytest.raises(build_site.BuildError, match="DO NOT MATCH THE HASHES") as rejected:
        build_site.download(wrong, INFO)
    assert "pydantic" in str(rejected.value)
    with pytest.raises(build_site.BuildError, match="DO NOT MATCH"):  # nothing was cached
        build_site.download(wrong, INFO)


@pytest.mark.usefixtures("site")
def test_a_wheel_without_a_hash_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "CACHE", tmp_path / "cache")
    pydantic = next(ROOT.glob("web/.cache/wheels/*/pydantic-*.whl"))
    loose = tmp_path / "loose.txt"
    loose.write_text(f"--no-index\n--find-links {pydantic.parent}\npydantic\n")
    with pytest.raises(build_site.BuildError, match="--require-hashes mode"):
        build_site.download(loose, INFO)


def test_a_missing_tool_is_named_with_its_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "CACHE", tmp_path / "cache")
    (tmp_path / "pip.py").write_text("raise ModuleNotFoundError('No module named pip')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(build_site.BuildError, match=r"No module named pip[\s\S]*\[web\]"):
        build_site.download(ROOT / "web" / "wheels.txt", INFO)


@pytest.mark.usefixtures("site")
def test_a_source_that_does_not_compile_is_named(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "broken.zip", "w") as archive:
        archive.writestr("inspector/view.py", "def")
    names = [f"/host{tmp_path}/broken.zip", "/dev/null"]
    with pytest.raises(building.BuildError, match=r'File "inspector/view\.py", line 1') as failed:
        building.run_in_pyodide([["compile_archive.compile_archive", *names]])
    assert len(str(failed.value)) < 10_000  # by default, Node prints a megabyte of Pyodide
