"""A directory to write files to, which appears complete or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from mobstore.errors import WriteFailedError, reason
from mobstore.maintenance.output_file import sync_directory
from mobstore.model.text import plain
from mobstore.stores.urls import parse_path

_OWNER_ONLY = 0o700


@contextmanager
def new_directory(path: Path) -> Generator[Path]:
    """Yield an empty directory to write files to, and move it to `path` if the block succeeds.

    The directory is beside `path` under a hidden name, and is deleted if the block raises. A single
    rename moves it, so a killed process may leave the hidden directory, but never a part of the
    files at `path`. A symbolic link is followed.

    Args:
        path: a new directory, which gets the mode 0700; or an empty one, which is replaced by one
            of the same mode.

    Raises:
        UsageError: the path is a URL, or begins with ~.
        WriteFailedError: it is not a directory, is not empty, cannot be replaced because it is the
            current directory or a mounted one, or cannot be written; or a file appeared in it
            during the block.
    """
    parse_path(path)
    target = Path(os.path.realpath(path))
    hidden = target.with_name(f".{target.name[:40]}.{token_hex(8)}")
    try:
        mode = _mode_of_empty(path, target)
        hidden.mkdir(_OWNER_ONLY)
        yield hidden
        for file in hidden.iterdir():
            with file.open("r+b") as written:
                os.fsync(written.fileno())
        sync_directory(hidden)
        if mode is not None:
            hidden.chmod(mode)
            _check_empty(path, target)  # again: the block may take long
            if os.name == "nt":  # whose rename replaces nothing
                target.rmdir()
        hidden.rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise WriteFailedError(f"{plain(path)} cannot be written: {_why(target, error)}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _mode_of_empty(path: Path, target: Path) -> int | None:
    """Return the mode of an empty directory; None if there is none at the path."""
    if not os.path.lexists(target):
        return None
    _check_empty(path, target)
    if os.path.ismount(target) or target.samefile(Path.cwd()):
        raise WriteFailedError(
            f"{plain(path)} is the current directory or a mounted one, which cannot be replaced;"
            " name a new directory in it"
        )
    return stat.S_IMODE(target.stat().st_mode)


def _check_empty(path: Path, target: Path) -> None:
    if os.listdir(target):  # noqa: PTH208 - names only
        raise WriteFailedError(f"{plain(path)} is not empty; name a new directory or an empty one")


def _why(target: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and not target.parent.is_dir():
        return f"the directory {plain(target.parent)} does not exist; create it first"
    if isinstance(error, PermissionError) and not os.access(target.parent, os.W_OK):
        return f"{reason(error)} in the directory {plain(target.parent)}"
    return reason(error)
