"""Entries of pyodide-lock.json, which pyodide-lock makes inside Pyodide."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest

import building
from lock_file import Info, Lock

INFO: Info = {
    "python": "3.14.2",
    "platform": "emscripten_5_0_3",
    "arch": "wasm32",
    "abi_version": "2026_0",
}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("site")]  # the build installs Pyodide


def write_wheel(folder: Path, name: str, *requirements: str, files: tuple[str, ...] = ()) -> Path:
    """Make a wheel of version 1.0 with these Requires-Dist lines and these empty files."""
    module = name.lower().replace("-", "_")
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
    with ZipFile(wheel, "w") as archive:
        for file in files or (f"{module}.py",):
            archive.writestr(file, "")
        archive.writestr(f"{module}-1.0.dist-info/METADATA", "\n".join(lines) + "\n\nA shelf.\n")
    return wheel


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a folder for wheels, with a cache of its own except for downloads."""
    shutil.copytree(building.CACHE / "lock-wheels", tmp_path / "cache" / "lock-wheels")
    monkeypatch.setattr(building, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(building, "ROOT", Path("/"))  # names of the key are below it
    return tmp_path


def make_lock(*wheels: Path) -> Lock:
    served = {wheel: (f"wheels/{wheel.name}", wheel) for wheel in wheels}
    lock: Lock = json.loads(building.lock_wheels("tests", INFO, served))
    return lock


def test_entries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ("one.py", "two/__init__.py", "three/four/five.py", "six/data.txt", "a-b/setup.py")
    shelf = write_wheel(
        folder,
        "Book-Shelf",
        "Book_Case>=1",
        "atlas; sys_platform == 'emscripten'",
        "colour; sys_platform == 'win32'",
        "tomli; python_version < '3.11'",
        "typing; platform_machine == 'wasm32' and python_version >= '3.14'",
        "pages; extra == 'pages'",
        files=files,
    )
    case = write_wheel(folder, "book-case", "ink[red]")
    ink = write_wheel(folder, "ink", "colour-red; extra == 'red'")
    others = [write_wheel(folder, name) for name in ("atlas", "typing", "colour-red")]
    lock = make_lock(shelf, case, ink, *others)
    assert (lock["info"], lock["tool"]) == (INFO, {})
    entry = lock["packages"]["book-shelf"]
    assert entry == {
        "name": "book-shelf",
        "version": "1.0",
        "file_name": "wheels/book_shelf-1.0-py3-none-any.whl",
        "install_dir": "site",
        "sha256": hashlib.sha256(shelf.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": ["one", "three", "two"],  # modules and packages, but no data
        "depends": ["atlas", "book-case", "typing"],  # those for the browser
        "unvendored_tests": False,
        "tool": {},
    }
    assert lock["packages"]["ink"]["depends"] == ["colour-red"]  # the lock has no extras
    monkeypatch.setattr(building, "run", None)
    assert make_lock(*others, ink, case, shelf) == lock  # in any order, it is made once


def test_a_missing_dependency_is_named(folder: Path) -> None:
    wheel = write_wheel(folder, "shelf", "ink")
    with pytest.raises(building.BuildError, match=r"Requirement ink from ink is not in"):
        make_lock(wheel)
    with pytest.raises(building.BuildError, match="Requirement ink"):  # nothing was cached
        make_lock(wheel)


def test_wheels_for_another_python_are_rejected(folder: Path) -> None:
    wheel = write_wheel(folder, "shelf")
    other = wheel.rename(folder / "shelf-1.0-cp313-cp313-pyemscripten_2026_0_wasm32.whl")
    with pytest.raises(building.BuildError, match="don't match Python version"):
        make_lock(other)
