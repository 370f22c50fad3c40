"""Attempts to open a store, and what they leave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engines.support import (
    no_store_threads,
    open_files,
    side_files,
)
from mobstore import (
    MobStoreError,
    open_stores,
)
from mobstore.testing.samples import tagged_event


def refused(url: str, **options: Any) -> MobStoreError:
    """Return the error of an attempt to open a store; no file may stay open."""

    async def main() -> MobStoreError:
        with pytest.raises(MobStoreError) as caught:
            async with open_stores(url, **options):
                pass
        return caught.value

    error = asyncio.run(main())
    assert "\n" not in str(error)
    return error


def usable(path: Path | str) -> None:
    async def main() -> None:
        for _ in range(2):  # new, then existing
            async with open_stores(f"sqlite:{path}") as stores:
                await stores.events.append(tagged_event("e"))
        async with open_stores(f"sqlite:{path}") as stores:
            assert len(await stores.events.poll(0, 10)) == 2

    asyncio.run(main())


def assert_untouched(path: Path, before: bytes) -> None:
    assert path.read_bytes() == before
    assert no_store_threads()
    assert side_files(path) == []
    assert open_files(path.parent) == []
