"""Tasks that end the program or are cancelled while others wait for the same transaction."""

from __future__ import annotations

import pytest

from browser.browsers import Tab

pytestmark = pytest.mark.slow

EVENTS = 3000


@pytest.fixture(scope="module", params=["tab", "page_tab", "firefox_tab"])
def any_tab(request: pytest.FixtureRequest) -> Tab:
    tab: Tab = request.getfixturevalue(request.param)
    return tab


@pytest.mark.parametrize("ending", ["SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("number", [0, 2])
def test_others_wake_when_one_ends_the_program(any_tab: Tab, ending: str, number: int) -> None:
    raised, got, after = any_tab.call("program_end:others_wake", ending, number, False)
    assert raised == [ending]
    assert sorted(got) == [n for n in range(2, 6) if n != number + 2]
    assert after == 6
    raised, got, _ = any_tab.call("program_end:others_wake", ending, number, True)
    assert (raised, got) == ([ending], [1, 1, 1])


@pytest.mark.parametrize("any_tab", ["tab", "firefox_tab"], indirect=True)
@pytest.mark.parametrize("kind", ["mobstore", "meerkat"])
def test_an_import_that_is_cancelled(any_tab: Tab, kind: str) -> None:
    left = any_tab.call("import_timeouts:cancelled_imports", kind, seconds=240)
    assert 0 in left, "none was cancelled"
    assert set(left) <= {0, EVENTS}
