"""Reading a file that somebody else gave, whatever its object does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import BinaryIO, TypeVar

T = TypeVar("T")

MOST_AT_ONCE = 2**17
"""Bytes of a read at most; `zipfile` would hold a directory of any size, and make objects of it.

That of a store has sixteen entries, and a comment after it less than 64 KiB.
"""


class ReadTooLargeError(Exception):
    """More than `MOST_AT_ONCE` was asked for: the directory is too large to be that of a store."""


class InputFile:
    """A file that can seek, as `zipfile` expects it: what it refuses is an `OSError`.

    It gives as many bytes as are asked for, as long as there are any.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place that is read next."""
        return _asked(self._file.tell)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place.

        Raises:
            OSError: the file has none such.
        """
        return _asked(partial(self._file.seek, offset, whence))

    def read(self, size: int | None = -1) -> bytes:
        """Read; without a size, as much as may be read at once.

        Raises:
            ReadTooLargeError: more was asked for.
            OSError: the file refused, or gave what are no bytes.
        """
        wanted = MOST_AT_ONCE if size is None or size < 0 else size
        if wanted > MOST_AT_ONCE:
            raise ReadTooLargeError
        read = bytearray()
        while len(read) < wanted:
            rest = wanted - len(read)
            some: object = _asked(partial(self._file.read, rest))
            if not isinstance(some, bytes) or len(some) > rest:
                raise OSError("it is no file of bytes")
            if not some:
                break
            read += some
        return bytes(read)


def _asked(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except OSError:
        raise
    except Exception as error:  # whoever made the object decides which
        raise OSError("the file refused") from error
