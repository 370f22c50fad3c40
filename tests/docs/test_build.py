"""The wheel and the sdist are built by what is installed: nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_both_are_built_without_an_index(tmp_path: Path) -> None:
    lines = (ROOT / "build.sh").read_text(encoding="utf-8").splitlines()
    (command,) = [line for line in lines if " -m build " in line]
    program, *options = command.split()
    assert program == ".venv/bin/python"
    subprocess.run(
        [sys.executable, *options, "--outdir", str(tmp_path)],
        check=True, cwd=ROOT, env={**os.environ, "PIP_NO_INDEX": "1"},
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    (_,) = tmp_path.glob("*.tar.gz")
    assert "mobstore/py.typed" in ZipFile(wheel).namelist()
