"""The page on the file format agrees with the code."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from maintenance.support import entries
from mobstore.maintenance.consistency import FILE_ORDER
from mobstore.scripts.tables import FORMAT, TABLES

PAGE = (Path(__file__).parents[2] / "docs" / "file-format.md").read_text(encoding="utf-8")


def test_the_example_reads_a_file(good: bytes, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (code,) = (block for block in blocks if "zipfile" in block)
    (tmp_path / "mobs.zip").write_bytes(good)
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONIOENCODING": "utf-8"},
    )
    parts = entries(good)
    expected = ""
    for table in TABLES:
        rows = [json.loads(line) for line in parts[f"{table.name}.jsonl"].splitlines()]
        expected += f"{table.name} {len(rows)} {rows[:1]}\n"
    assert ended.stdout == expected


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip")
def test_the_command_line_reads_a_file(good: bytes, tmp_path: Path) -> None:
    (command,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "mobs.zip").write_bytes(good)
    ended = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (line,) = entries(good)["specs.jsonl"].splitlines()
    assert json.loads(ended.stdout) == json.loads(line)


def test_the_entries_are_deflated(good: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        methods = {entry.compress_type for entry in archive.infolist()}
    assert methods == {zipfile.ZIP_DEFLATED}


def test_the_tables_are_those_of_the_store() -> None:
    described = re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE)
    names = [
        (table, re.findall(r"\w+", re.sub(r"\(.*?\)", "", columns))) for table, columns in described
    ]
    assert names == [(table.name, list(table.columns)) for table in TABLES]
    bold = {table: re.findall(r"\*\*(\w+)\*\*", columns) for table, columns in described}
    assert bold == {index.table.name: [*index.prefix, *index.order] for index in FILE_ORDER}


def test_the_version_is_that_of_the_tables(good: bytes) -> None:
    assert json.loads(entries(good)["manifest.json"])["version"] == FORMAT
    assert f'"version": {FORMAT},' in PAGE
