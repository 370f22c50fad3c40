"""The options of tests/conftest.py: tiers of tests, and tests in missing browsers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from docs.pages import ROOT

IN_CHROMIUM = "tests/page/test_start.py"
BOTH = ("tests/browser/test_outside.py", "tests/browser/test_contract.py")


def run(*arguments: str, **environment: str) -> str:
    """Return the output of pytest, in CI and without any browser unless `environment` differs."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": "/nowhere", "CI": "true", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout


@pytest.mark.slow
def test_a_missing_browser_fails_in_ci_only() -> None:
    missing = "chromium is missing (Debian: apt-get install chromium)"
    in_ci = run(IN_CHROMIUM)
    assert "3 errors" in in_ci
    assert missing in in_ci
    for skipping in (run(IN_CHROMIUM, "--no-install"), run(IN_CHROMIUM, CI="")):
        assert "3 skipped" in skipping
        assert f"{IN_CHROMIUM}: {missing}" in skipping, "the summary names the file"


@pytest.mark.slow
def test_fast_leaves_out_browsers_and_slow_tests() -> None:
    collected = run("--collect-only", "--fast", *BOTH)
    assert "test_natively" in collected
    assert "test_in_node" not in collected
    assert "test_contract" not in collected


@pytest.mark.slow
def test_browsers_are_marked_by_fixtures_and_by_parameters() -> None:
    collected = run("--collect-only", "-m", "browser", IN_CHROMIUM, *BOTH)
    for name in ("test_start.py", "atomic.all-tab]", "-firefox_tab]"):
        assert name in collected
    assert "test_outside.py" not in collected
