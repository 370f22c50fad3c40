"""A directory to write files to, which has all of them or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from mobstore.errors import WriteFailedError, reason
from mobstore.maintenance.output_file import move_without_replacing, sync_directory
from mobstore.model.text import plain
from mobstore.stores.urls import parse_path

_OWNER_ONLY = 0o700


@contextmanager
def new_directory(path: Path) -> Generator[Path]:
    """Yield an empty directory to write files to, and move them to `path` if the block succeeds.

    It is in `path` under a hidden name, so that `path` may be a mounted directory, or the current
    one. If the block raises, it is deleted, and `path` as well if that is new. A killed process may
    leave it there; if it is killed while files are moved, some of the files, each of them complete.

    Args:
        path: a new directory, which gets the mode 0700; or an empty one.

    Raises:
        UsageError: the path is a URL, or begins with ~.
        WriteFailedError: it is not a directory, is not empty, or cannot be written; or a file
            appeared in it during the block.
    """
    parse_path(path)
    is_new = False
    hidden = path / f".mobstore.{token_hex(8)}"
    moved: list[Path] = []
    try:
        try:
            path.mkdir(_OWNER_ONLY)
            is_new = True
        except FileExistsError:
            if os.listdir(path):  # noqa: PTH208 - names only
                raise WriteFailedError(
                    f"{plain(path)} is not empty; name a new directory or an empty one"
                ) from None
        hidden.mkdir(_OWNER_ONLY)
        yield hidden
        files = sorted(hidden.iterdir())
        for file in files:
            with file.open("r+b") as written:
                os.fsync(written.fileno())
        if [found for found in path.iterdir() if found != hidden]:
            raise WriteFailedError(f"{plain(path)} was written to meanwhile; name another one")
        for file in files:
            move_without_replacing(file, path / file.name)
            moved.append(path / file.name)
            file.unlink(missing_ok=True)  # one of two names
        hidden.rmdir()
        sync_directory(path)
        sync_directory(path.parent)
        moved.clear()
        is_new = False
    except OSError as error:
        raise WriteFailedError(f"{plain(path)} cannot be written: {_why(path, error)}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        with suppress(OSError):
            for file in moved:
                file.unlink()
            if is_new:
                path.rmdir()


def _why(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        return f"the directory {plain(path.parent)} does not exist; create it first"
    return reason(error)
