"""Open the stores that a command works on: existing ones, new ones, and exports."""

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
from mobstore.errors import ReadFailedError, reason
from mobstore.maintenance.transfer import import_stores
from mobstore.stores.urls import parse_url, shown_url

_ZIP = b"PK"


def open_existing(url: str, *, read_only: bool = True) -> mobstore.Opening[mobstore.MobStores]:
    """Open the store at a URL, which must exist.

    Read-only, it waits for no writer, and works on a medium that cannot be written.
    """
    return mobstore.open_stores(url, create=False, read_only=read_only)


@asynccontextmanager
async def open_new(url: str) -> AsyncGenerator[mobstore.MobStores]:
    """Open the store at a URL; remove a file that was created for it if the block raises."""
    place = parse_url(url)
    is_new = place.engine == "sqlite" and not os.path.lexists(place.name)  # noqa: ASYNC240 - at once
    opening = asyncio.ensure_future(mobstore.open_stores(url))
    try:
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError:
            await (await opening).close()  # the file exists only once the opening has finished
            raise
        async with opening.result() as stores:
            yield stores
    except BaseException:
        if is_new:
            remove_empty(Path(place.name))
        raise


@asynccontextmanager
async def open_url_or_export(name: str) -> AsyncGenerator[mobstore.MobStores]:
    """Open the store at a URL, or import an export into a temporary store."""
    path = Path(name)
    if not path.is_file():  # noqa: ASYNC240 - no other task runs yet
        try:
            place = parse_url(name)
        except mobstore.InternalError as error:
            problem = f"there is no file {shown_url(name)}; as a URL, {error.detail}"
            raise ReadFailedError(problem) from error
        if place.engine == "sqlite" and is_archive(Path(place.name)):
            raise ReadFailedError(f"{place.name} is an export, not a store; type {place.name}")
        async with open_existing(name) as stores:
            yield stores
        return
    if is_database(path):
        raise ReadFailedError(f"{name} is a SQLite database; type sqlite:{name}")
    with temporary_folder() as folder:
        url = f"sqlite:{Path(folder, 'mobs.db')}"
        async with mobstore.open_stores(url, durability="normal") as stores:
            with (
                progress_bar(f"reading {path.name}") as progress,
                path.open("rb") as file,  # noqa: ASYNC230 - the import reads in a thread
            ):
                await import_stores(file, stores, progress=progress)
            yield stores


def temporary_folder() -> TemporaryDirectory[str]:
    """Create a temporary directory that is removed at the end of the block.

    Raises:
        WriteFailedError: none can be created.
    """
    try:
        return TemporaryDirectory(prefix="mobstore-")
    except OSError as error:
        raise mobstore.WriteFailedError(
            "no temporary directory can be created; is the disk full?"
        ) from error


def is_archive(file: Path) -> bool:
    """Return whether a file is a zip, as exports are.

    Raises:
        ReadFailedError: it cannot be read.
    """
    try:
        # SQLite is asked first: opening a database in another way breaks its locks.
        if not file.is_file() or is_database(file):
            return False
        with file.open("rb") as opened:
            return opened.read(len(_ZIP)) == _ZIP
    except (OSError, ValueError) as error:
        raise ReadFailedError(f"{file} cannot be read: {reason(error)}") from error
