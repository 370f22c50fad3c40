"""The contract on IndexedDB: in a worker and in a page of Chromium, and in a worker of Firefox."""

from __future__ import annotations

import pytest

from browser.browsers import Chromium, Firefox, Tab
from mobstore.testing import Case, all_cases

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["chromium-worker", "chromium-page", "firefox-worker"])
def place(request: pytest.FixtureRequest) -> Tab:
    browser, where = request.param.split("-")
    running: Chromium | Firefox = request.getfixturevalue(browser)
    return running.tab(where)


@pytest.mark.parametrize("case", all_cases().values(), ids=lambda case: case.id)
def test_contract(place: Tab, case: Case) -> None:
    status, why = place.call("contract:run", case.id)
    assert status == "passed", why  # "skipped" will not do: all there is to need is declared
