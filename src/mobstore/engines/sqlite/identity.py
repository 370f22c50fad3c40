"""Whether the files at a store's path are still those that were opened.

SQLite itself goes on with a file that nobody finds any more, and with a log that was removed or
exchanged: what it acknowledges then is lost.
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
        """Whether the path still leads to them."""
        ...

    def check(self, refusal: type[ReadFailedError | WriteFailedError]) -> None:
        """Refuse to go on with files that others do not find.

        Raises:
            ReadFailedError, WriteFailedError: whichever is given; a file was removed or replaced.
        """
        ...


class FileIdentity:
    """The database file, its log and its shared memory; to be made when a connection has read.

    SQLite keeps all three in place as long as a connection is open, so another one at the same
    path is the work of somebody else.

    To remove or replace a file changes the time of its directory. As long as that stands, one
    question to the system is enough; it may be asked before every read.
    """

    def __init__(self, path: Path) -> None:
        self._directory = os.fsencode(path.parent)  # bytes take the least time
        self._names: tuple[str, ...] = tuple(f"{path}{suffix}" for suffix in ("", "-wal", "-shm"))
        self._opened = self._find()
        self._settled = _NEVER

    def intact(self) -> bool:
        """Whether the path leads to the very files that were opened."""
        try:
            status = os.stat(self._directory)  # noqa: PTH116 - a Path would cost twice the time
        except OSError:
            return False
        mark = (status.st_mtime_ns, status.st_ino, status.st_dev)
        if mark == self._settled:
            return True
        intact = self._find() == self._opened
        # A change in the same tick of the clock as the last one would leave the time as it is.
        settled = intact and time.time_ns() - status.st_mtime_ns > _SETTLED
        self._settled = mark if settled else _NEVER
        return intact

    def check(self, refusal: type[ReadFailedError | WriteFailedError]) -> None:
        """Refuse to go on with files that others do not find.

        Raises:
            ReadFailedError, WriteFailedError: whichever is given; a file was removed or replaced.
        """
        if self.intact():
            return
        changed = zip(self._names, self._opened, self._find(), strict=True)
        name = next((name for name, before, now in changed if before != now), self._names[0])
        raise refusal(f"{name} was removed or replaced while it was open; open the store again")

    def _find(self) -> list[_Mark]:
        return [which(name) for name in self._names]


class UnusedFile:
    """A database file that nobody writes: its content must not change, nor a log appear."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = self._find()

    def intact(self) -> bool:
        """Whether nobody has written to the file."""
        return self._find() == self._opened

    def check(self, refusal: type[ReadFailedError | WriteFailedError]) -> None:
        """Refuse to go on reading without locks what somebody writes.

        Raises:
            ReadFailedError, WriteFailedError: whichever is given; the file was written.
        """
        if not self.intact():
            raise refusal(
                f"{self._path} was written, removed or replaced while it was open for reading on a"
                " read-only medium; open the store again"
            )

    def _find(self) -> list[_Mark]:
        return [_content(f"{self._path}{suffix}") for suffix in ("", "-wal", "-journal")]


def which(name: str | Path) -> tuple[int, int] | None:
    """The device and inode of a file, whatever its name; None if there is none."""
    try:
        status = os.stat(name)  # noqa: PTH116 - a Path would cost twice the time
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _content(name: str) -> _Mark:
    try:
        status = os.stat(name)  # noqa: PTH116 - as above
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
