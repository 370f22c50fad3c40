"""The wheel and the sdist: built offline, complete, and usable."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

import mobstore

ROOT = Path(__file__).parents[2]


PROGRAM = """
import asyncio
import mobstore


async def main() -> None:
    async with mobstore.open_stores("sqlite:mobs.db") as stores:
        print(mobstore.__version__, await stores.events.latest_cursor(), mobstore.__file__)


asyncio.run(main())
"""


@pytest.mark.slow
def test_both_are_built_without_an_index(tmp_path: Path) -> None:
    lines = (ROOT / "build.sh").read_text(encoding="utf-8").splitlines()
    (command,) = [line for line in lines if " -m build " in line]
    program, *options = command.split()
    assert program == ".venv/bin/python"
    offline = {**os.environ, "PIP_NO_INDEX": "1"}
    subprocess.run(
        [sys.executable, *options, "--outdir", tmp_path], check=True, cwd=ROOT, env=offline
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("CONTRIBUTING.md", "SECURITY.md", ".github/workflows/test.yml", "docs/page.png"):
        assert name in names
    (wheel,) = tmp_path.glob("*.whl")
    assert "mobstore/py.typed" in ZipFile(wheel).namelist()
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, wheel],
        check=True,
        env=offline,
    )
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True, text=True,
    )  # fmt: skip
    version, cursor, place = ended.stdout.split()
    assert (version, cursor) == (mobstore.__version__, "0")
    assert Path(place).is_relative_to(target)
