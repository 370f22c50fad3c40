"""The files for contributors agree with the tree and with build.sh."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from core.test_architecture import MAY_IMPORT
from docs.pages import PAGES, ROOT, name

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BUILD = (ROOT / "build.sh").read_text(encoding="utf-8")
WORKFLOW = ROOT / ".github/workflows/test.yml"
CALLS = re.compile(r"\./build\.sh (\w+)")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def load(path: Path) -> Any:
    return yaml.safe_load(read(path))


@pytest.mark.parametrize(("path", "lines"), [("CONTRIBUTING.md", 99), ("README.md", 200)])
def test_length(path: str, lines: int) -> None:
    assert len(read(ROOT / path).splitlines()) <= lines


def test_every_path_in_the_contributing_guide_exists() -> None:
    paths = [path for path in re.findall(r"`([\w./-]+)`", read(CONTRIBUTING)) if "/" in path]
    assert len(paths) > 30
    for path in paths:
        real = path.replace("X", "events")  # operations/X.py means any store
        assert (ROOT / real).exists() or (ROOT / "src/mobstore" / real).exists(), path


def test_the_map_lists_the_parts_of_the_package_in_the_order_of_their_arrows() -> None:
    rows = re.findall(r"^\| (`.*?) \|", read(CONTRIBUTING).split("\nBeside it")[0], re.MULTILINE)
    parts = [part.strip("/") for row in rows for part in re.findall(r"`([^`]+)`", row)]
    assert parts == list(MAY_IMPORT)


def test_the_usage_lists_every_verb() -> None:
    usage = subprocess.run([ROOT / "build.sh"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^\./build\.sh (\w+)", usage, re.MULTILINE)
    assert sorted(listed) == sorted(re.findall(r"^(\w+)\)$", BUILD, re.MULTILINE))


def test_an_unknown_verb_is_a_usage_error() -> None:
    ended = subprocess.run([ROOT / "build.sh", "nonsense"], capture_output=True, check=False)
    assert ended.returncode == 2


@pytest.mark.parametrize(
    "path", [*PAGES, CONTRIBUTING, WORKFLOW, ROOT / ".ci/run", ROOT / "web/README.md"], ids=name
)
def test_every_verb_that_is_mentioned_exists(path: Path) -> None:
    assert set(CALLS.findall(read(path))) <= set(re.findall(r"^(\w+)\)$", BUILD, re.MULTILINE))


def test_the_workflow_calls_nothing_but_verbs() -> None:
    jobs = load(WORKFLOW)["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert len(commands) > 5
    for command in commands:
        assert CALLS.match(command), command


def test_the_workflow_runs_every_supported_python() -> None:
    matrix = load(WORKFLOW)["jobs"]["native"]["strategy"]["matrix"]["python"]
    classifiers = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["classifiers"]
    versions = [text.rpartition(" ")[2] for text in classifiers if "Python :: 3." in text]
    assert matrix == versions


def test_hooks_run_the_commands_of_check() -> None:
    """The tools come from .venv, so their versions are those of .ci/constraints.txt."""
    (repository,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    check = BUILD.split("\ncheck)\n")[1].split(";;")[0]
    commands = [line.strip().removesuffix(" .") for line in check.splitlines() if "  .venv" in line]
    assert [hook["entry"] for hook in repository["hooks"]] == commands
