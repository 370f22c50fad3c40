"""The stores that a command works on: existing ones, new ones, and those in files of an export."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import mobstore
from mobstore.cli.progress import progress_bar
from mobstore.engines.sqlite.file import is_database
from mobstore.engines.sqlite.removal import remove_empty
from mobstore.maintenance.transfer import import_stores
from mobstore.stores.urls import parse_url


def open_existing(url: str, *, read_only: bool = True) -> mobstore.Opening[mobstore.MobStores]:
    """The store at a URL, which must be there already; unless told otherwise only to be read.

    Reading waits for no writer, and works on a medium that cannot be written.
    """
    return mobstore.open_stores(url, create=False, read_only=read_only)


@asynccontextmanager
async def open_new(url: str) -> AsyncGenerator[mobstore.MobStores]:
    """The stores at a URL; a file that was made for them goes again if the block raises."""
    place = parse_url(url)
    new = place.engine == "sqlite" and not os.path.lexists(place.name)  # noqa: ASYNC240 - at once
    opening = asyncio.ensure_future(mobstore.open_stores(url))
    try:
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError:
            await (await opening).close()  # only now is there something to be taken back
            raise
        async with opening.result() as stores:
            yield stores
    except BaseException:
        if new:
            remove_empty(Path(place.name))
        raise


@asynccontextmanager
async def open_named(name: str) -> AsyncGenerator[mobstore.MobStores]:
    """The store at a URL; that of a file, in a temporary place."""
    path = Path(name)
    if not path.is_file():  # noqa: ASYNC240 - nothing else runs yet
        try:
            parse_url(name)
        except mobstore.InternalError as error:
            said = f"there is no file {name}; as a store, {error.detail}"
            raise mobstore.ReadFailedError(said) from error
        async with open_existing(name) as stores:
            yield stores
        return
    if is_database(path):
        raise mobstore.ReadFailedError(f"{name} is a SQLite database; name it sqlite:{name}")
    with temporary_folder() as folder:
        url = f"sqlite:{Path(folder, 'mobs.db')}"
        async with mobstore.open_stores(url, durability="normal") as stores:
            with (
                progress_bar(f"reading {path.name}") as progress,
                path.open("rb") as file,  # noqa: ASYNC230 - the import reads it elsewhere
            ):
                await import_stores(file, stores, progress=progress)
            yield stores


def temporary_folder() -> TemporaryDirectory[str]:
    """A folder that goes when it is left.

    Raises:
        WriteFailedError: none can be made.
    """
    try:
        return TemporaryDirectory(prefix="mobstore-")
    except OSError as error:
        raise mobstore.WriteFailedError(
            "no temporary directory can be made; is there room?"
        ) from error
