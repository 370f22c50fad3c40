"""Temporary files, and the errors of a write to one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from mobstore.errors import WriteFailedError


@contextmanager
def temporary_file_errors() -> Generator[None]:
    """Say in our words that a temporary file refused."""
    try:
        yield
    except OSError as error:
        raise WriteFailedError("a temporary file cannot be written; is there room?") from error


@contextmanager
def temporary_file() -> Generator[BinaryIO]:
    """A file without a name, which goes when it is closed, and with the process.

    Raises:
        WriteFailedError: none can be made.
    """
    try:
        file = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - closed below
    except OSError as error:
        raise WriteFailedError("no temporary file can be made; is there room?") from error
    try:
        yield file
    finally:
        with suppress(OSError):  # what could not be written was said when it was flushed
            file.close()
