"""Promises of the README alone; test_examples.py runs its code, as that of all pages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from docs.pages import ROOT, blocks

README = ROOT / "README.md"


def run(code: str, folder: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert ended.stderr == ""
    return ended.stdout


def test_every_python_block_has_its_output() -> None:
    assert all(block.output for block in blocks(README, "python"))


def test_changing_the_url_keeps_the_state(tmp_path: Path) -> None:
    first = blocks(README, "python")[0].code
    code = first.replace('"memory:"', '"sqlite:first.db"')
    assert code != first
    twice = blocks(README, "text")[1].code
    assert run(code, tmp_path) + run(code, tmp_path) == twice
