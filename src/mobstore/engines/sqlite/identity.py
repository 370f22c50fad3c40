"""Identity of the files at a store's path: a removed or replaced file is noticed.

SQLite itself continues with a file that was removed, and with a log that was removed or replaced.
Everything that it commits then is lost.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

from mobstore.errors import ReadFailedError, WriteFailedError

_SETTLED = 2 * 10**9  # nanoseconds; no file system's clock is coarser
_NEVER = (0, 0, 0)
_Mark = tuple[int, ...] | None


class OpenFiles(Protocol):
    """The files that a store has open."""

    def intact(self) -> bool:
        """Return whether the path still leads to them."""
        ...

    def check(self, error: type[ReadFailedError | WriteFailedError]) -> None:
        """Raise if a file was removed or replaced.

        Raises:
            ReadFailedError, WriteFailedError: the given class.
        """
        ...


class FileIdentity:
    """The database file, its log and its shared memory. Create it once a connection has read.

    SQLite keeps all three in place while a connection is open, so another file at the same path
    comes from another program.

    To remove or replace a file changes the time of its directory. While that time is the same, one
    system call is enough, which is cheap enough before every read.
    """

    def __init__(self, path: Path) -> None:
        self._directory = os.fsencode(path.parent)  # bytes are fastest
        self._names: tuple[str, ...] = tuple(f"{path}{suffix}" for suffix in ("", "-wal", "-shm"))
        self._opened = self._find()
        self._settled = _NEVER

    def intact(self) -> bool:
        """Return whether the path leads to the files that were opened."""
        try:
            status = os.stat(self._directory)  # noqa: PTH116 - a Path takes twice as long
        except OSError:
            return False
        mark = (status.st_mtime_ns, status.st_ino, status.st_dev)
        if mark == self._settled:
            return True
        intact = self._find() == self._opened
        # A second change in the same tick of the clock does not change the time.
        settled = intact and time.time_ns() - status.st_mtime_ns > _SETTLED
        self._settled = mark if settled else _NEVER
        return intact

    def check(self, error: type[ReadFailedError | WriteFailedError]) -> None:
        """Raise if a file was removed or replaced.

        Raises:
            ReadFailedError, WriteFailedError: the given class.
        """
        if self.intact():
            return
        changed = zip(self._names, self._opened, self._find(), strict=True)
        name = next((name for name, before, now in changed if before != now), self._names[0])
        raise error(f"{name} was removed or replaced while it was open; open the store again")

    def _find(self) -> list[_Mark]:
        return [which(name) for name in self._names]


class UnusedFile:
    """A database file that no process writes: it must not change, and have no log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = self._find()

    def intact(self) -> bool:
        """Return whether the file is unchanged."""
        return self._find() == self._opened

    def check(self, error: type[ReadFailedError | WriteFailedError]) -> None:
        """Raise if the file was written: it is read without locks.

        Raises:
            ReadFailedError, WriteFailedError: the given class.
        """
        if not self.intact():
            raise error(
                f"{self._path} was written, removed or replaced while it was open for reading on a"
                " read-only medium; open the store again"
            )

    def _find(self) -> list[_Mark]:
        return [_content(f"{self._path}{suffix}") for suffix in ("", "-wal", "-journal")]


def which(name: str | Path) -> tuple[int, int] | None:
    """Return the device and inode of a file, or None if it is missing."""
    try:
        status = os.stat(name)  # noqa: PTH116 - a Path takes twice as long
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _content(name: str) -> _Mark:
    try:
        status = os.stat(name)  # noqa: PTH116 - as above
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
