"""Notifications about commits to the open store by any tab."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from inspector import Inspector

_ENOUGH = 0.5  # seconds; far more than a notification takes


async def ask(inspector: Inspector, method: str, **params: object) -> None:
    answer = json.loads(await inspector.call(method, json.dumps(params)))
    assert "error" not in answer, answer


class Tab:
    """An inspector with the number of its notifications."""

    def __init__(self) -> None:
        self.told = 0
        self._loop = asyncio.get_running_loop()
        self.inspector = Inspector(self._changed)

    def _changed(self) -> None:
        self._loop.call_soon_threadsafe(self._count)

    def _count(self) -> None:
        self.told += 1


async def settled(*tabs: Tab) -> list[int]:
    """Return and reset the number of notifications of each inspector."""
    await asyncio.sleep(_ENOUGH)
    told = [tab.told for tab in tabs]
    for tab in tabs:
        tab.told = 0
    return told


@pytest.mark.slow
def test_every_tab_is_notified(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'mobs.db'}"

    async def change() -> None:
        tabs = [Tab(), Tab()]
        for tab in tabs:
            await ask(tab.inspector, "open", url=url)
        await settled(*tabs)
        for method in ("demo_start", "race_open", "erase"):
            await ask(tabs[0].inspector, method)
            assert all(await settled(*tabs)), method
        await ask(tabs[0].inspector, "overview")
        assert not any(await settled(*tabs))
        for tab in tabs:
            await ask(tab.inspector, "close")

    asyncio.run(change())


@pytest.mark.slow
def test_a_closed_store_does_not_notify(tmp_path: Path) -> None:
    left, opened = (f"sqlite:{tmp_path / name}" for name in ("left.db", "opened.db"))

    async def change() -> None:
        tab, other = Tab(), Tab()
        await ask(other.inspector, "open", url=left)
        for url in (left, opened):
            await ask(tab.inspector, "open", url=url)
        await settled(tab, other)
        await ask(other.inspector, "demo_start")
        told, others = await settled(tab, other)
        assert (bool(others), told) == (True, 0)
        for each in (tab, other):
            await ask(each.inspector, "close")

    asyncio.run(change())
