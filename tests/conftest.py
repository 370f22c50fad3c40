"""Settings, markers and shared fixtures of all tests."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.postgres import programs

pytest_plugins = ["support.postgres.fixtures"]

# A loaded machine must not fail a test.
settings.register_profile("mobstore", deadline=None)
settings.load_profile("mobstore")

# Background processes of a shell ignore Ctrl-C, those of nohup a hang-up, and so do all children.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

_LONG = {"soak", "fuzz", "webkit"}
_BROWSERS = {
    "chromium": {"chromium"},
    "firefox": {"firefox-esr"},
    "webkit": {"WebKitWebDriver", "Xvfb"},
}
"""Programs, by the first part of the fixtures and parameters that name them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mobstore")
    group.addoption(
        "--fast",
        action="store_true",
        help="leave out the tests marked slow, process, browser or postgres",
    )
    group.addoption(
        "--no-install",
        action="store_true",
        help="skip tests whose browser or server is missing, even in CI",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they start, and leave out the tiers that are not selected."""
    # In CI, a missing program is an error unless the command line allows it.
    may_skip = config.getoption("--no-install") or not os.environ.get("CI")
    left_out = {mark for mark in _LONG if mark not in str(config.getoption("markexpr"))}
    if config.getoption("--fast"):
        left_out |= {"slow", "process", "browser", "postgres"}
    selected: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        if item.path.parent.name == "cli":
            item.add_marker("process")
        names = _names(item)
        for program in _browsers(names):
            item.add_marker("browser")
            if may_skip and shutil.which(program) is None:
                item.add_marker(pytest.mark.skip(reason=programs.missing(program)))
        for program in _servers(names):
            item.add_marker("postgres")
            if may_skip and programs.find(program) is None:
                item.add_marker(pytest.mark.skip(reason=programs.missing(program)))
        marks = {mark.name for mark in item.iter_markers()}
        (deselected if marks & left_out else selected).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = selected


def _names(item: pytest.Item) -> set[str]:
    """Return a test's fixtures, and those of its parameters that are texts."""
    if not isinstance(item, pytest.Function):
        return set()
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return {*item.fixturenames, *(value for value in parameters if isinstance(value, str))}


def _browsers(names: set[str]) -> set[str]:
    """Return the programs of the browsers that a test uses."""
    used = [start for start in _BROWSERS if any(name.startswith(start) for name in names)]
    found = set[str]().union(*(_BROWSERS[start] for start in used))
    return found | {"chromium"} if "tab" in names else found


def _servers(names: set[str]) -> Iterator[str]:
    """Yield the programs of the servers that a test uses."""
    # Not any text that begins so, since URLs are parameters too.
    if any(name == "postgres" or name.startswith("postgres_") for name in names):
        yield "initdb"
    if "postgres_pooler" in names:
        yield "pgbouncer"
