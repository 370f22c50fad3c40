"""Open the stores that a command works on: existing ones and new ones."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mobstore.engines.sqlite.file import is_database
from mobstore.engines.sqlite.removal import remove_empty
from mobstore.errors import ReadFailedError, WriteFailedError, reason
from mobstore.stores.mob_stores import MobStores, Opening
from mobstore.stores.opening import open_stores
from mobstore.stores.urls import parse_url

_ZIP = b"PK"


def open_existing(url: str, *, read_only: bool = True) -> Opening[MobStores]:
    """Open the store at a URL, which must exist.

    Read-only, it waits for no writer, and works on a medium that cannot be written.
    """
    return open_stores(url, create=False, read_only=read_only)


@asynccontextmanager
async def open_new(url: str) -> AsyncGenerator[MobStores]:
    """Open the store at a URL; remove a file that was created for it if the block raises."""
    place = parse_url(url)
    is_new = place.engine == "sqlite" and not os.path.lexists(place.name)  # noqa: ASYNC240 - at once
    opening = asyncio.ensure_future(open_stores(url))
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


def temporary_folder() -> TemporaryDirectory[str]:
    """Create a temporary directory that is removed at the end of the block.

    Raises:
        WriteFailedError: none can be created.
    """
    try:
        return TemporaryDirectory(prefix="mobstore-")
    except OSError as error:
        raise WriteFailedError(
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
