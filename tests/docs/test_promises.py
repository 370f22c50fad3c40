"""The promises on an engine's page name existing tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mobstore.testing import all_cases

ROOT = Path(__file__).parents[2]
PROMISES = [
    line
    for line in (ROOT / "docs/engines/sqlite.md")
    .read_text(encoding="utf-8")
    .split("## Promises and their tests")[1]
    .splitlines()
    if line.startswith("| ") and not line.startswith(("| promise", "|---"))
]


def test_there_are_promises() -> None:
    assert len(PROMISES) > 40


@pytest.mark.parametrize("line", PROMISES, ids=lambda line: line[2:60])
def test_named_tests_exist(line: str) -> None:
    names = [name for name in re.findall(r"`([^`]+)`", line.rsplit("|", 2)[1]) if name != "-m soak"]
    assert names, "a promise names a test"
    text = group = ""
    for name in names:
        if "/" in name or name.endswith(".py"):
            path = ROOT / name if "/" in name else ROOT / "tests/engines" / name
            assert path.exists(), name
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
        elif name.startswith("test_"):
            assert f"def {name}(" in text, name
        elif name.startswith("."):  # replaces the last part of the previous case, or extends it
            assert {group + name, group.rpartition(".")[0] + name} & all_cases().keys(), name
        else:
            group = name
            assert name in all_cases(), name
