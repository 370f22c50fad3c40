"""Temporary files, and the errors of writing to them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from mobstore.errors import WriteFailedError


@contextmanager
def temporary_file_errors() -> Generator[None]:
    """Translate the error of a write to a temporary file."""
    try:
        yield
    except OSError as error:
        raise WriteFailedError("a temporary file cannot be written; is there room?") from error


@contextmanager
def temporary_file() -> Generator[BinaryIO]:
    """Yield a file without a name. It is deleted when the block or the process ends.

    Raises:
        WriteFailedError: no file can be created.
    """
    try:
        file = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - closed below
    except OSError as error:
        raise WriteFailedError("no temporary file can be made; is there room?") from error
    try:
        yield file
    finally:
        with suppress(OSError):  # a failed write was reported when it was flushed
            file.close()
