"""A file that a caller passed for reading. Its object may behave in any way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import BinaryIO, TypeVar

T = TypeVar("T")

LONGEST_READ = 2**17
"""The most bytes of one read.

`zipfile` reads the whole directory at once, and makes an object of each entry. The directory of an
archive has sixteen entries, and the comment after it has less than 64 KiB.
"""


class ReadTooLargeError(Exception):
    """A read of more than `LONGEST_READ` bytes: the directory is not that of an archive."""


class InputFile:
    """A seekable file as `zipfile` expects it.

    A read returns the requested number of bytes, or fewer at the end of the file. Every failure
    is an `OSError`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next read."""
        return _call(self._file.tell)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position.

        Raises:
            OSError: the file has no such position.
        """
        return _call(partial(self._file.seek, offset, whence))

    def read(self, size: int | None = -1) -> bytes:
        """Read `size` bytes; without a size, at most `LONGEST_READ`.

        Raises:
            ReadTooLargeError: `size` is larger than `LONGEST_READ`.
            OSError: the file raised an error, or returned something else than bytes.
        """
        wanted = LONGEST_READ if size is None or size < 0 else size
        if wanted > LONGEST_READ:
            raise ReadTooLargeError
        read = bytearray()
        while len(read) < wanted:
            missing = wanted - len(read)
            piece: object = _call(partial(self._file.read, missing))
            if not isinstance(piece, bytes) or len(piece) > missing:
                raise OSError("the file's read() does not return bytes as requested")
            if not piece:
                break
            read += piece
        return bytes(read)


def _call(function: Callable[[], T]) -> T:
    try:
        return function()
    except OSError:
        raise
    except Exception as error:  # the caller's object may raise any
        raise OSError("the file raised an error") from error
