"""The contract on IndexedDB, in workers of Chromium and Firefox.

A page differs from a worker in its event loop only, so it runs the cases in which tasks overlap.
"""

from __future__ import annotations

import pytest

from browser.browsers import Tab
from mobstore.testing import Case, all_cases

pytestmark = pytest.mark.slow


OVERLAPPING = ("atomic.", "callers.", "cancel.", "concurrent.", "events.subscribe.", "shared.")
IN_PAGE = [case for case in all_cases().values() if case.id.startswith(OVERLAPPING)]
ALONE = [
    "events.append.assigns-cursors",
    "events.subscribe.follows",
    "profiles.update.revisions",
    "runs.create.round-trip",
    "runs.status.cas",
    "specs.put.revisions",
]


@pytest.mark.parametrize("tab_name", ["tab", "firefox_tab"])
@pytest.mark.parametrize("case", all_cases().values(), ids=lambda case: case.id)
def test_in_a_worker(request: pytest.FixtureRequest, tab_name: str, case: Case) -> None:
    check(request.getfixturevalue(tab_name), case)


@pytest.mark.parametrize("case", IN_PAGE, ids=lambda case: case.id)
def test_in_a_page(page_tab: Tab, case: Case) -> None:
    check(page_tab, case)


@pytest.mark.parametrize("case", ALONE)
def test_stores_opened_alone(tab: Tab, case: str) -> None:
    check(tab, all_cases()[case], "contract:run_alone")


def test_every_kind_of_overlap_has_cases() -> None:
    for start in OVERLAPPING:
        assert any(case.id.startswith(start) for case in IN_PAGE), start


def check(tab: Tab, case: Case, program: str = "contract:run") -> None:
    status, reason = tab.call(program, case.id)
    assert status == "passed", reason  # nor "skipped": the subject declares every capability
