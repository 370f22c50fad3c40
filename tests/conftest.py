"""Settings and markers of all tests."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import settings

# A loaded machine must not fail a test.
settings.register_profile("mobstore", deadline=None)
settings.load_profile("mobstore")

_LONG = {"soak", "fuzz"}
_BROWSERS = {"chromium": "chromium", "firefox": "firefox-esr"}
"""Programs, by the first part of the fixtures and parameters that name them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mobstore")
    group.addoption(
        "--fast", action="store_true", help="leave out the tests marked slow, process or browser"
    )
    group.addoption(
        "--no-install", action="store_true", help="skip tests in missing browsers, even in CI"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they start, and leave out the tiers that are not selected."""
    # In CI, a missing browser is an error unless the command line allows it.
    may_skip = config.getoption("--no-install") or not os.environ.get("CI")
    left_out = {mark for mark in _LONG if mark not in str(config.getoption("markexpr"))}
    if config.getoption("--fast"):
        left_out |= {"slow", "process", "browser"}
    selected: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        if item.path.parent.name == "cli":
            item.add_marker("process")
        for program in _programs(item):
            item.add_marker("browser")
            if may_skip and shutil.which(program) is None:
                reason = f"{program} is missing (Debian: apt-get install {program})"
                item.add_marker(pytest.mark.skip(reason=reason))
        marks = {mark.name for mark in item.iter_markers()}
        (deselected if marks & left_out else selected).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = selected


def _programs(item: pytest.Item) -> set[str]:
    """Return the browsers that a test uses, by its fixtures and its parameters."""
    if not isinstance(item, pytest.Function):
        return set()
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names = (*item.fixturenames, *(value for value in parameters if isinstance(value, str)))
    found = {_BROWSERS[start] for start in _BROWSERS if any(n.startswith(start) for n in names)}
    return found | {"chromium"} if "tab" in names else found
