"""Forks while stores are open: the child gets an error or a copy; the parent loses nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.forking import (
    fork_in_a_pool,
    fork_when_closed,
    fork_while_a_schema_is_built,
    fork_while_memory_is_written,
    fork_while_open,
    fork_while_open_to_read,
    fork_while_writing,
)
from engines.support import output, query, side_files
from mobstore import open_stores
from mobstore.testing.samples import tag_of, tagged_event

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.slow,
]
WAYS = 7


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "link.db").symlink_to("mobs.db")
    return tmp_path / "mobs.db"


def forked(program: Callable[..., None], path: Path) -> list[str]:
    told = output(program, path, path.with_name("link.db"), seconds=60).splitlines()
    assert told.pop() == "parent"
    return told


def refused(told: list[str]) -> None:
    assert len(told) == WAYS
    for line in told:
        assert "was open when this process was forked" in line
        assert "close stores before forking, or start processes with spawn" in line


def tags(path: Path) -> list[str]:
    async def read() -> list[str]:
        async with open_stores(f"sqlite:{path}") as stores:
            return [tag_of(one.kind) for one in await stores.events.replay_all()]

    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    found = asyncio.run(read())
    assert side_files(path) == ["link.db"]
    return found


@pytest.mark.parametrize("program", [fork_while_open, fork_in_a_pool])
def test_an_open_file_is_rejected_in_the_child(path: Path, program: Callable[..., None]) -> None:
    refused(forked(program, path))
    assert tags(path) == ["before", "after"]


def test_a_file_open_for_reading_is_rejected_in_the_child(path: Path) -> None:
    async def make() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("before"))

    asyncio.run(make())
    refused(forked(fork_while_open_to_read, path))
    assert tags(path) == ["before"]


def test_the_child_of_a_writing_parent_does_not_hang(path: Path) -> None:
    refused(forked(fork_while_writing, path))
    assert len(tags(path)) == 3900


def test_a_closed_file_can_be_opened_in_the_child(path: Path) -> None:
    assert forked(fork_when_closed, path) == []
    assert sorted(tags(path)) == ["before", "child", "parent"]


def test_the_child_has_a_copy_of_a_store_in_memory() -> None:
    """Whatever another thread of the parent was doing with it."""
    assert output(fork_while_memory_is_written).splitlines() == ["child", "parent"]


def test_the_child_can_use_records() -> None:
    assert output(fork_while_a_schema_is_built).splitlines() == ["Built(number=1)"]
