"""A browser that is killed at any moment has kept all that a store acknowledged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from browser.browsers import chromium
from browser.test_tabs import listen

KILLS = 5  # per profile; four profiles


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_while_it_writes(
    chromium_program: str, origin: str, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    acknowledged: list[dict[str, Any]] = []
    for kill in range(KILLS + 1):
        with chromium(chromium_program, origin, tmp_path) as browser:
            tab = browser.tab()
            if kill:
                tab.call("work:check", "killed", acknowledged, kill)
            if kill < KILLS:
                tab.start("work:forever", "killed", "full", f"tag-{kill}")
                acknowledged += listen(tab, seconds=chance.uniform(0, 0.5))
                browser.kill()
    assert len(acknowledged) > KILLS * 10
