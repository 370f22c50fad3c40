"""Random scripts on IndexedDB, compared with plain dicts, in one tab and in two."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest

from browser.browsers import Tab
from differential.checking import check
from differential.packing import pack, unpack
from differential.scenario import Kind, Record, Scenario

pytestmark = pytest.mark.slow

KIND = Kind(clients=5, calls=14)
CHOSEN = [int(seed) for seed in os.environ.get("DIFFERENTIAL_SEEDS", "").split()]
LARGE = 1000  # the seed whose scenario has a very large batch
SEEDS = CHOSEN or [1, 3, 6, LARGE]


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def tabs(request: pytest.FixtureRequest) -> list[Tab]:
    names = {
        "chromium": ("tab", "other_tab"),
        "firefox": ("firefox_tab", "other_firefox_tab"),
    }[request.param]
    return [request.getfixturevalue(name) for name in names]


def compare(tabs: Sequence[Tab], seed: int) -> list[int]:
    """Run a scenario in several tabs at once and check it; return the tab of each commit."""
    name, kind = f"differential-{uuid4()}", replace(KIND, large=seed == LARGE)
    try:
        start = unpack(tabs[0].call("differential:create", name))
        for number, tab in enumerate(tabs):
            tab.start("differential:run", name, seed, pack(kind), number, len(tabs), seconds=240)
        records: list[Record] = [record for tab in tabs for record in unpack(tab.finish())]
        final = unpack(tabs[0].call("differential:remove", name))
        return check(records, start, final, Scenario(seed, kind).first)
    except BaseException as error:
        error.add_note(f"to repeat: DIFFERENTIAL_SEEDS={seed} pytest tests/browser -k plain_dicts")
        raise


@pytest.mark.parametrize("seed", SEEDS)
def test_as_plain_dicts(tabs: list[Tab], seed: int) -> None:
    compare(tabs[:1], seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_as_plain_dicts_in_two_tabs(tabs: list[Tab], seed: int) -> None:
    places = compare(tabs, seed)
    assert sorted(set(places)) == [0, 1]
    assert places != sorted(places), "the tabs did not run at the same time"


@pytest.mark.soak
def test_as_plain_dicts_for_long(tabs: list[Tab]) -> None:
    for seed in range(2000, 2040):
        compare(tabs[: 1 + seed % 2], seed)
