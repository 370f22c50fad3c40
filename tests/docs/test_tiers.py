"""The options of tests/conftest.py: tiers of tests, and tests whose programs are missing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from docs.pages import ROOT

IN_CHROMIUM = "tests/page/test_start.py"
BOTH = ("tests/browser/test_outside.py", "tests/browser/test_contract.py")
SERVERS = "tests/engines/postgres/test_servers.py"
WITHOUT_DEBIAN = """if True:
    import sys
    from pathlib import Path
    import pytest
    from support.postgres import programs
    for name in sys.argv.pop(1).split():
        setattr(programs, name, Path("/nowhere"))
    sys.exit(pytest.main(sys.argv[1:]))"""


def run(*arguments: str, without: str = "", **environment: str) -> str:
    """Return the output of pytest, in CI and without any browser unless `environment` differs.

    `without` names folders of Debian's servers, which are not on the PATH, that seem to be empty.
    """
    command = [sys.executable, "-c", WITHOUT_DEBIAN, without]
    ended = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'tests'}:{os.environ.get('PYTHONPATH', '')}",
            "PATH": "/nowhere",
            "CI": "true",
            **environment,
        },
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


@pytest.mark.slow
def test_a_missing_server_fails_in_ci_only() -> None:
    missing = "initdb is missing (Debian: apt-get install postgresql)"
    in_ci = run(SERVERS, "-k", "cut_off or failover", without="DEBIAN")
    assert "2 errors" in in_ci
    assert missing in in_ci
    for skipping in (
        run(SERVERS, "--no-install", without="DEBIAN"),
        run(SERVERS, CI="", without="DEBIAN"),
    ):
        assert "skipped in" in skipping.splitlines()[-1]
        assert "passed" not in skipping.splitlines()[-1]
        assert f"{SERVERS}: {missing}" in skipping


@pytest.mark.usefixtures("postgres_pooler")
@pytest.mark.slow
def test_a_missing_pooler_skips_its_own_tests_only() -> None:
    missing = "pgbouncer is missing (Debian: apt-get install pgbouncer)"
    chosen = (SERVERS, "-k", "share or cut_off")
    skipping = run(*chosen, CI="", without="SBIN")
    assert "1 passed, 2 skipped" in skipping
    assert missing in skipping
    in_ci = run(*chosen, without="SBIN")
    assert "1 passed" in in_ci
    assert "2 errors" in in_ci
    assert missing in in_ci


@pytest.mark.slow
def test_servers_are_marked_by_fixtures_and_by_parameters() -> None:
    collected = run("--collect-only", "-m", "postgres", SERVERS, *BOTH)
    assert "test_clients_are_cut_off" in collected
    assert "test_outside.py" not in collected
    assert "test_servers.py" not in run("--collect-only", "--fast", SERVERS, *BOTH)
