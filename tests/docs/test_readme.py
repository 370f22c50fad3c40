"""What only the README promises; that its code and commands are real is shown with all pages."""

from __future__ import annotations

import re
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


def test_the_verbs_of_the_script_are_those_that_it_lists() -> None:
    listed = set(re.findall(r"\./build\.sh (\w+)", README.read_text(encoding="utf-8")))
    listed |= {"bench", "build", "docs", "site"}
    script = ROOT / "build.sh"
    usage = subprocess.run([str(script)], capture_output=True, text=True, check=True).stdout
    assert listed == set(re.findall(r"^\./build\.sh (\w+)", usage, re.MULTILINE))
    assert (
        subprocess.run([str(script), "nonsense"], capture_output=True, check=False).returncode == 2
    )
