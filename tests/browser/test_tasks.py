"""Tasks that end or are cancelled while the browser works for them and for others."""

from __future__ import annotations

import pytest

from browser.browsers import Chromium, Firefox, Tab

pytestmark = pytest.mark.slow

EVENTS = 3000


@pytest.fixture(scope="module", params=["chromium-worker", "chromium-page", "firefox-worker"])
def place(request: pytest.FixtureRequest) -> Tab:
    browser, where = request.param.split("-")
    running: Chromium | Firefox = request.getfixturevalue(browser)
    return running.tab(where)


@pytest.mark.parametrize("ending", ["SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("number", [0, 2])
def test_others_wake_when_one_ends_the_program(place: Tab, ending: str, number: int) -> None:
    heard, got, after = place.call("ending:others_wake", ending, number, False)
    assert heard == [ending]
    assert sorted(got) == [n for n in range(2, 6) if n != number + 2]
    assert after == 6
    heard, got, _ = place.call("ending:others_wake", ending, number, True)
    assert (heard, got) == ([ending], [1, 1, 1])


@pytest.mark.parametrize("kind", ["mobstore", "meerkat"])
def test_an_import_that_is_given_up(place: Tab, kind: str) -> None:
    left = place.call("cut_short:given_up", kind, seconds=240)
    assert 0 in left, "none was given up"
    assert set(left) <= {0, EVENTS}
