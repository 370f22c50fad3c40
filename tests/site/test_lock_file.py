"""Entries of pyodide-lock.json, by both builders."""

from __future__ import annotations

import hashlib
from pathlib import Path
from zipfile import ZipFile

import pytest

import build_site
from lock_file import Info, lock_by_hand, lock_by_library, make_lock

INFO: Info = {
    "python": "3.14.2",
    "platform": "emscripten_5_0_3",
    "arch": "wasm32",
    "abi_version": "2026_0",
}


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


def test_an_entry(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "Book-Shelf")
    (tmp_path / "compiled.whl").write_bytes(b"compiled")
    assert make_lock(INFO, {wheel: tmp_path / "compiled.whl"}) == {
        "info": INFO,
        "packages": {
            "book-shelf": {
                "name": "book-shelf",
                "version": "1.0",
                "file_name": "book_shelf-1.0-py3-none-any.whl",
                "install_dir": "site",
                "sha256": hashlib.sha256(b"compiled").hexdigest(),
                "package_type": "package",
                "imports": ["book_shelf"],
                "depends": [],
                "unvendored_tests": False,
                "tool": {},
            }
        },
        "tool": {},
    }


def test_imports_are_modules_and_packages_but_not_data(tmp_path: Path) -> None:
    files = ("one.py", "two/__init__.py", "three/four/five.py", "six/data.txt", "a-b/setup.py")
    lock = lock_by_hand(INFO, [write_wheel(tmp_path, "shelf", files=files)])
    assert lock["packages"]["shelf"]["imports"] == ["one", "three", "two"]


def test_dependencies_are_those_for_the_browser(tmp_path: Path) -> None:
    shelf = write_wheel(
        tmp_path,
        "shelf",
        "Book_Case>=1",
        "atlas; sys_platform == 'emscripten'",
        "colour; sys_platform == 'win32'",
        "tomli; python_version < '3.11'",
        "typing; platform_machine == 'wasm32' and python_version >= '3.14'",
        "pages; extra == 'pages'",
    )
    others = [write_wheel(tmp_path, name) for name in ("book-case", "atlas", "typing")]
    lock = lock_by_hand(INFO, [shelf, *others])
    assert lock["packages"]["shelf"]["depends"] == ["atlas", "book-case", "typing"]


def test_a_missing_dependency_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shelf-1\.0.* needs \['ink'\]"):
        lock_by_hand(INFO, [write_wheel(tmp_path, "shelf", "ink")])


def test_extras_are_rejected(tmp_path: Path) -> None:
    wheels = [write_wheel(tmp_path, "shelf", "ink[red]"), write_wheel(tmp_path, "ink")]
    with pytest.raises(ValueError, match="extras"):
        lock_by_hand(INFO, wheels)


@pytest.mark.slow
def test_both_builders_agree_on_the_wheels_of_the_site(site: Path) -> None:
    pytest.importorskip("pyodide_lock", reason="pyodide-lock needs Python 3.12")
    wheels = [*(build_site.CACHE / "wheels").glob("*/*.whl")]
    wheels += (build_site.CACHE / "mobstore").glob("*/*.whl")
    assert {wheel.name for wheel in wheels} == {each.name for each in site.rglob("*.whl")}
    assert lock_by_hand(INFO, wheels) == lock_by_library(INFO, wheels)


def test_both_builders_agree_on_odd_wheels(tmp_path: Path) -> None:
    pytest.importorskip("pyodide_lock", reason="pyodide-lock needs Python 3.12")
    wheels = [
        write_wheel(tmp_path, "Shelf", "ink; python_version < '3.15'", "x; extra == 'all'", "ink"),
        write_wheel(tmp_path, "ink", files=("ink/a/b.py", "pen.py", "a-b/c.py", "d/e.txt")),
    ]
    assert lock_by_hand(INFO, wheels) == lock_by_library(INFO, wheels)
