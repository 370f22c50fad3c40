"""Compiled wheels, with .pyc in place of .py."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import py_compile
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from compile_archive import compile_archive

RECORD = "shelf-1.0.dist-info/RECORD"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    file = tmp_path / "shelf-1.0-py3-none-any.whl"
    with ZipFile(file, "w") as archive:
        archive.writestr("shelf/__init__.py", "from shelf.books import COUNT\n")
        archive.writestr("shelf/books.py", "COUNT = 3\n")
        archive.writestr("shelf/py.typed", "")
        archive.writestr("shelf/covers/", "")
        archive.writestr(RECORD, "shelf/books.py,sha256=old,10\n")
    return file


@pytest.fixture
def compiled(wheel: Path, tmp_path: Path) -> Path:
    file = tmp_path / "compiled.whl"
    compile_archive(str(wheel), str(file))
    return file


def test_modules_are_replaced_and_the_rest_is_kept(compiled: Path) -> None:
    assert ZipFile(compiled).namelist() == [
        RECORD,
        "shelf/__init__.pyc",
        "shelf/books.pyc",
        "shelf/py.typed",
    ]


def test_the_result_can_be_imported(compiled: Path) -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); import shelf; print(shelf.COUNT)"
    ended = subprocess.run(
        [sys.executable, "-c", program, compiled], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "3\n"


def test_the_bytecode_is_loaded_without_its_source(compiled: Path) -> None:
    bytecode = ZipFile(compiled).read("shelf/books.pyc")
    assert bytecode[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(bytecode[4:8], "little") == 0b01  # hash-based, unchecked


def test_record_names_what_is_there(compiled: Path) -> None:
    with ZipFile(compiled) as archive:
        lines = list(csv.reader(archive.read(RECORD).decode().splitlines()))
        assert [name for name, _, _ in lines] == archive.namelist()
        for name, digest, size in lines:
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
            stated = (f"sha256={expected.rstrip('=')}", str(len(content)))
            assert (digest, size) == (("", "") if name == RECORD else stated)


def test_the_same_source_gives_the_same_bytes(wheel: Path, compiled: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.whl"
    with ZipFile(wheel) as archive:
        members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with ZipFile(wheel, "w") as archive:  # later, and in another order
        for name, content in reversed(members):
            archive.writestr(name, content)
    compile_archive(str(wheel), str(again))
    assert again.read_bytes() == compiled.read_bytes()


def test_a_module_that_does_not_compile_is_named(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "broken.zip", "w") as archive:
        archive.writestr("shelf/books.py", "def")
    with pytest.raises(py_compile.PyCompileError, match=r"shelf/books\.py"):
        compile_archive(str(tmp_path / "broken.zip"), str(tmp_path / "out.zip"))
