"""New files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from mobstore.errors import WriteFailedError


@contextmanager
def new_file(path: Path, *, overwrite: bool = False) -> Generator[Path]:
    """Give an empty file to write to, which is renamed to `path` when the block ends well.

    It lies beside `path` under a hidden name, and is removed if the block raises. A process that
    dies may leave it behind, but nothing half written under the name that was asked for.

    Args:
        path: the file to be.
        overwrite: whether it may replace one.

    Raises:
        WriteFailedError: there is one already, or it cannot be written.
    """
    if not overwrite:
        _refuse_present(path)
    beside = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        beside.open("xb").close()
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from error
    try:
        yield beside
        with beside.open("r+b") as written:
            os.fsync(written.fileno())
        if not overwrite:
            _refuse_present(path)  # it may have taken long
        beside.replace(path)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _refuse_present(path: Path) -> None:
    if os.path.lexists(path):
        raise WriteFailedError(f"{path} is there already; it was left as it is")


def _refusal(path: Path, error: Exception) -> WriteFailedError:
    return WriteFailedError(f"{path} cannot be written: {type(error).__name__}")
