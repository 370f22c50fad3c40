"""Errors of callers: exceptions of their functions pass unchanged; wrong types raise UsageError."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import mobstore
from maintenance.support import is_empty, stores_of
from mobstore.maintenance.progress import Progress
from mobstore.maintenance.transfer import export_stores, import_stores
from mobstore.meerkat import export_meerkat, import_meerkat
from mobstore.testing import samples

Calls = dict[str, Callable[[Progress], Awaitable[object]]]


@pytest.mark.parametrize("kind", [sqlite3.OperationalError, TypeError, ValueError, OSError])
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_progress(engine: str, kind: type[Exception], tmp_path: Path) -> None:
    own = kind("mine")

    def raises(done: int, total: int) -> None:
        if done == total:
            raise own

    async def check() -> None:
        async with stores_of(engine, tmp_path) as filled, stores_of(engine, tmp_path) as empty:
            await filled.events.append(samples.event())
            archive, reference = io.BytesIO(), tmp_path / "meerkat.db"
            await export_stores(filled, archive)
            await export_meerkat(filled, reference)
            calls: Calls = {
                "import_stores": lambda tell: import_stores(archive, empty, progress=tell),
                "import_meerkat": lambda tell: import_meerkat(reference, empty, progress=tell),
                "copy": lambda tell: mobstore.copy(filled, empty, progress=tell),
                "export_stores": lambda tell: export_stores(filled, io.BytesIO(), progress=tell),
                "export_meerkat": lambda tell: export_meerkat(
                    filled, tmp_path / "other.db", progress=tell
                ),
                "verify": lambda tell: mobstore.verify(filled, progress=tell),
            }
            for what, call in calls.items():
                with pytest.raises(kind) as caught:
                    await call(raises)
                assert caught.value is own, what
                assert is_empty(empty)
                shown = "".join(traceback.format_exception(own))
                assert "mobstore.maintenance.progress" not in shown, shown
            assert not (tmp_path / "other.db").exists()

    asyncio.run(check())


def test_the_cause_of_an_error_is_kept(tmp_path: Path) -> None:
    cause = LookupError("the cause")

    def raises(_done: int, _total: int) -> None:
        raise ValueError("mine") from cause

    def raises_within(_done: int, _total: int) -> None:
        try:
            raise cause
        except LookupError:
            raise ValueError("mine")  # noqa: B904 - under test

    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            for function in (raises, raises_within):
                with pytest.raises(ValueError, match="mine") as caught:
                    await mobstore.verify(stores, progress=function)
                assert caught.value.__cause__ is cause

    asyncio.run(check())


def test_arguments_of_another_type(tmp_path: Path) -> None:
    """A wrong path, file, flag or function raises `UsageError`; nothing is written."""
    wrong: Any = 5
    slow: Any = asyncio.sleep

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            path = tmp_path / "mob.db"
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "a path, not int": lambda: export_meerkat(stores, wrong),
                "a path, not bytes": lambda: import_meerkat(b"mob.db", stores),  # type: ignore[arg-type]
                "a path, not NoneType": lambda: import_meerkat(None, stores),  # type: ignore[arg-type]
                "open(path, 'wb')": lambda: export_stores(stores, wrong),
                "open(path, 'rb')": lambda: import_stores(wrong, stores),
                "overwrite": lambda: export_meerkat(stores, path, overwrite=wrong),
                "skip_unreadable": lambda: import_meerkat(path, stores, skip_unreadable=wrong),
                "check is": lambda: import_meerkat(path, stores, check=wrong),
                "repair": lambda: mobstore.verify(stores, repair=wrong),
                "progress must be a function": lambda: mobstore.verify(stores, progress=wrong),
                "progress must be a plain": lambda: mobstore.copy(stores, stores, progress=slow),
            }
            for words, call in calls.items():
                with pytest.raises(mobstore.UsageError) as caught:
                    await call()
                assert words in str(caught.value)
            assert is_empty(stores)

    asyncio.run(check())
    assert not list(tmp_path.iterdir())
