"""The files of an import: named one by one, or found in the directory of an installation."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from mobstore.errors import ReadFailedError, UsageError, reason

SUFFIX = ".db"
"""The end of the names of databases in a directory of the reference."""


class Sources(NamedTuple):
    """The files to import, in order.

    Attributes:
        files: the files.
        several: whether the caller named a directory or more than one file, so that one of them
            may be left out.
    """

    files: tuple[Path, ...]
    several: bool


def find_sources(source: str | PathLike[str] | Iterable[str | PathLike[str]]) -> Sources:
    """Return the files that a caller named; of a directory, all `*.db` but subdirectories, by name.

    Raises:
        ReadFailedError: a directory cannot be read, or has no such file.
        UsageError: a path is neither text nor a path, is empty, or no file can have it; or no path
            is passed.
    """
    if isinstance(source, (str, bytes, PathLike)) or not isinstance(source, Iterable):
        path = to_path(source)
        found = _in_directory(path)
        return Sources((path,), several=False) if found is None else Sources(found, several=True)
    files: list[Path] = []
    for path in map(to_path, source):
        found = _in_directory(path)
        files += (path,) if found is None else found
    if not files:
        raise UsageError("no file is named; pass the path of a database of meerkat-mob")
    return Sources(tuple(files), several=True)


def to_path(path: str | PathLike[str]) -> Path:
    """Return the path that a caller passed.

    Raises:
        UsageError: `path` is neither text nor a path, or no file can have it as its name.
    """
    try:
        name = os.fsencode(path)
        checked = Path(path)
    except TypeError as error:
        raise UsageError(f"a file is named by a path, not {type(path).__name__}") from error
    except UnicodeEncodeError:
        raise UsageError("a path cannot contain lone surrogates") from None
    if b"\0" in name:
        raise UsageError("a path cannot contain NUL")
    if not name:  # Path takes it for the current directory
        raise UsageError("a path cannot be empty; for the current directory use .")
    return checked


def _in_directory(path: Path) -> tuple[Path, ...] | None:
    """Return the databases in a directory, by name; None if the path is not a directory."""
    try:
        if not path.is_dir():
            return None
        names = sorted(
            name
            for name in os.listdir(path)  # noqa: PTH208 - most of the names are not needed
            if name.endswith(SUFFIX) and not (path / name).is_dir()
        )
    except OSError as error:
        raise ReadFailedError(f"{path} cannot be read: {reason(error)}") from error
    if not names:
        raise ReadFailedError(
            f"{path} has no file *{SUFFIX}; name a directory or a database of meerkat-mob"
        )
    return tuple(path / name for name in names)
