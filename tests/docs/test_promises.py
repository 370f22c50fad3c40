"""The promises on the pages of engines name existing tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mobstore.testing import all_cases

ROOT = Path(__file__).parents[2]
TESTS = {"sqlite": ROOT / "tests/engines", "postgres": ROOT / "tests/engines/postgres"}
"""The folder of the tests that a page names by their file alone."""
FEWEST = {"sqlite": 40, "postgres": 40}


def promises(engine: str) -> list[str]:
    """Return the rows of an engine's tables of promises."""
    page = (ROOT / f"docs/engines/{engine}.md").read_text(encoding="utf-8")
    lines = page.split("## Promises and their tests")[1].splitlines()
    headings = ("| promise", "|---")
    return [line for line in lines if line.startswith("| ") and not line.startswith(headings)]


@pytest.mark.parametrize("engine", TESTS)
def test_there_are_promises(engine: str) -> None:
    assert len(promises(engine)) > FEWEST[engine]


@pytest.mark.parametrize(
    ("engine", "line"),
    [
        pytest.param(engine, line, id=f"{engine}-{line[2:60]}")
        for engine in TESTS
        for line in promises(engine)
    ],
)
def test_named_tests_exist(engine: str, line: str) -> None:
    names = [name for name in re.findall(r"`([^`]+)`", line.rsplit("|", 2)[1]) if name != "-m soak"]
    assert names, "a promise names a test"
    text = group = ""
    for name in names:
        if "/" in name or name.endswith(".py"):
            path = ROOT / name if "/" in name else TESTS[engine] / name
            assert path.exists(), name
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
        elif name.startswith("test_"):
            assert f"def {name}(" in text, name
        elif name.startswith("."):  # replaces the last part of the previous case, or extends it
            assert {group + name, group.rpartition(".")[0] + name} & all_cases().keys(), name
        else:
            group = name
            assert name in all_cases(), name
