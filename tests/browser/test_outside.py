"""The IndexedDB engine where there is no IndexedDB."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mobstore

HARNESS = Path(__file__).parent / "harness"
WHERE = "only for Python in a browser's page or worker"


@pytest.mark.slow
def test_in_node(site: Path) -> None:
    node = shutil.which("node")
    assert node is not None  # the site could not be built without it
    command = [node, str(HARNESS / "node.mjs"), str(site / "pyodide")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert WHERE in json.loads(result.stdout.splitlines()[-1])


def in_a_thread(use: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a coroutine; this thread's event loop may belong to Playwright."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(use())).result()


def test_natively() -> None:
    async def use() -> None:
        async with mobstore.open_stores("indexeddb:mobs"):
            pass

    with pytest.raises(mobstore.UsageError, match=WHERE):
        in_a_thread(use)


@pytest.mark.parametrize("name", ["", 5, None], ids=repr)
def test_a_name_is_text(name: str) -> None:
    async def use() -> None:
        await mobstore.IndexedDbMobStores.open(name)

    with pytest.raises(mobstore.UsageError, match="needs a name, such as indexeddb:mobs"):
        in_a_thread(use)
