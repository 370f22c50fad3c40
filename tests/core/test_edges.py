"""Edges that users of the package meet: huge numbers, extra fields, copies of open stores."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mobstore import (
    MobRun,
    NewMobEvent,
    SerializationError,
    StepLedgerEntry,
    UsageError,
    open_stores,
)
from mobstore.testing import samples


class TimedStep(StepLedgerEntry):
    ms: int = 5


class NamedRun(MobRun):
    name: str = "n"


class TaggedEvent(NewMobEvent):
    tag: str = "t"


class SameStep(StepLedgerEntry):
    """A subclass without fields of its own."""


@pytest.mark.parametrize("name", ["timeout", "create", "read_only"])
@pytest.mark.parametrize("digits", [400, 5000])
def test_huge_options(name: str, digits: int) -> None:
    options: dict[str, Any] = {name: 10**digits}

    async def main() -> None:
        await open_stores("memory:", **options)

    with pytest.raises(UsageError):
        asyncio.run(main())


@pytest.mark.parametrize("flag", ["no", None, 1])
def test_poll_checks_its_flag(flag: Any) -> None:
    async def main() -> None:
        async with open_stores("memory:") as stores:
            await stores.events.poll(reject_stale=flag)

    with pytest.raises(UsageError, match="reject_stale is True or False"):
        asyncio.run(main())


def test_fields_of_subclasses_are_not_dropped() -> None:
    async def main() -> None:
        async with open_stores("memory:") as stores:
            run, step = samples.make_run(), samples.step()
            await stores.runs.create_run(run)
            with pytest.raises(SerializationError, match="fields that are not stored: ms"):
                await stores.runs.append_step_entry(run.run_id, TimedStep(**step.__dict__))
            with pytest.raises(SerializationError, match="fields that are not stored: name"):
                await stores.runs.create_run(NamedRun(**samples.make_run(2).__dict__))
            with pytest.raises(SerializationError, match="fields that are not stored: tag"):
                await stores.events.append(TaggedEvent(**samples.event().__dict__))
            await stores.runs.append_step_entry(run.run_id, SameStep(**step.__dict__))
            assert len(await stores.runs.step_entries(run.run_id)) == 1

    asyncio.run(main())


def test_open_stores_are_not_copied() -> None:
    async def main() -> None:
        async with open_stores("memory:") as stores:
            subscription = stores.events.subscribe()
            for opened in (stores, stores.events, stores.runs, subscription):
                for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
                    with pytest.raises(TypeError, match="pass its URL and open it there"):
                        duplicate(opened)

    asyncio.run(main())


@pytest.mark.slow
def test_an_attribute_that_is_a_module_is_there_at_once() -> None:
    code = "import mobstore; print(mobstore.errors.UsageError.__name__)"
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("UsageError\n", "")


def test_an_empty_url() -> None:
    with pytest.raises(UsageError, match="URL is not empty; use memory:"):
        asyncio.run(_open(""))


async def _open(url: str) -> None:
    await open_stores(url)


@pytest.mark.slow
def test_a_star_import_has_its_names_for_mypy(tmp_path: Path) -> None:
    code = "from mobstore import *\nreveal_type(open_stores)\nrun: MobRun\n"
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "-c", code],
        cwd=tmp_path,  # without the settings of this project
        check=False,
        capture_output=True,
        text=True,
    )
    assert "Success" in ended.stdout, ended.stdout
    assert "Opening" in ended.stdout, ended.stdout
