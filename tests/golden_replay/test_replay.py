"""Every call of the golden scripts returns the reference's answer, on every engine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import mobstore
from support import golden

SCRIPTS = [(name, seed) for name in golden.SCRIPT_FILES for seed in golden.seeds(name)]


def test_every_call_is_here() -> None:
    assert len(SCRIPTS) == 40
    assert sum(len(golden.calls(name, seed)) for name, seed in SCRIPTS) == 8_000


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
@pytest.mark.parametrize(("name", "seed"), SCRIPTS, ids=str)
def test_script(name: str, seed: int, engine: str, tmp_path: Path) -> None:
    url = "memory:" if engine == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"
    _check(url, name, seed)


@pytest.mark.parametrize(("name", "seed"), SCRIPTS, ids=str)
def test_script_on_postgres(name: str, seed: int, postgres_url: str) -> None:
    _check(postgres_url, name, seed)


def _check(url: str, name: str, seed: int) -> None:
    differences = asyncio.run(_replay(url, golden.calls(name, seed)))
    assert not differences, differences[0]


async def _replay(url: str, calls: list[dict[str, Any]]) -> list[str]:
    differences: list[str] = []
    # Power failures are not tested here, and durability takes time.
    async with mobstore.open_stores(url, durability="normal") as stores:
        for number, call in enumerate(calls):
            got = await golden.replay(stores, call)
            expected = call["expect"]
            if not golden.same(golden.masked(got, expected), expected):
                differences.append(
                    f"call {number}, {call['op']}: got {json.dumps(got)[:2000]},"
                    f" expected {json.dumps(expected)[:2000]}"
                )
    return differences
