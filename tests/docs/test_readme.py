"""The README does what it says: its code runs, its commands print what it shows."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SAMPLE = ROOT / "tests" / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


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


def programs() -> list[tuple[str, str]]:
    """Each block of Python with the block of text that follows it."""
    return [
        (code, output)
        for (language, code), (following, output) in pairwise(BLOCKS)
        if (language, following) == ("python", "text")
    ]


def test_every_python_block_has_its_output() -> None:
    assert len(programs()) == sum(language == "python" for language, _ in BLOCKS) == 2


@pytest.mark.parametrize(("code", "output"), programs())
def test_the_python_runs(code: str, output: str, tmp_path: Path) -> None:
    assert run(code, tmp_path) == output


def test_changing_the_url_keeps_the_state(tmp_path: Path) -> None:
    code = BLOCKS[0][1].replace('"memory:"', '"sqlite:mobs.db"')
    assert code != BLOCKS[0][1]
    assert run(code, tmp_path) + run(code, tmp_path) == BLOCKS[2][1]


def test_the_commands_print_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "tide-desk.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    (console,) = [text for language, text in BLOCKS if language == "console"]
    shown = re.split(r"^\$ mobstore (.*)\n", console, flags=re.MULTILINE)[1:]
    assert len(shown) == 6
    for command, output in zip(shown[::2], shown[1::2], strict=True):
        printed = subprocess.run(
            [sys.executable, "-m", "mobstore", *command.split()],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        ).stdout
        if output.endswith("...\n"):
            assert printed.startswith(output.removesuffix("...\n"))
        else:
            assert printed == output


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_verbs_of_the_script_are_those_that_it_lists() -> None:
    listed = set(re.findall(r"\./build\.sh (\w+)", README)) | {"bench", "build", "site"}
    script = ROOT / "build.sh"
    usage = subprocess.run([str(script)], capture_output=True, text=True, check=True).stdout
    assert listed == set(re.findall(r"^\./build\.sh (\w+)", usage, re.MULTILINE))
    assert (
        subprocess.run([str(script), "nonsense"], capture_output=True, check=False).returncode == 2
    )
