"""New files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from mobstore.bundles.urls import parse_path
from mobstore.errors import WriteFailedError, reason

_KINDS = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
_LOGS = ("-wal", "-journal")


@contextmanager
def new_file(path: Path, *, overwrite: bool = False) -> Generator[Path]:
    """Give an empty file to write to, which is renamed to `path` when the block ends well.

    It lies beside `path` under a hidden name, and is removed if the block raises. A process that
    dies may leave it behind, but nothing half written under the name that was asked for.

    A symbolic link is followed: the file it leads to is replaced, with its rights, and the link
    stays.

    Args:
        path: the file to be.
        overwrite: whether it may replace one.

    Raises:
        InternalError: the path is a URL, or begins with ~.
        WriteFailedError: there is one already, it is no regular file or a SQLite database in use,
            or it cannot be written.
    """
    parse_path(path)
    try:
        replaced = _replaceable(path, overwrite=overwrite)
        target = Path(os.path.realpath(path))
        beside = target.with_name(f".{target.name}.{token_hex(4)}")
        beside.open("xb").close()
        if replaced is not None:
            beside.chmod(stat.S_IMODE(replaced.st_mode))
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from error
    try:
        yield beside
        with beside.open("r+b") as written:
            os.fsync(written.fileno())
        _replaceable(path, overwrite=overwrite)  # it may have taken long
        beside.replace(target)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _replaceable(path: Path, *, overwrite: bool) -> os.stat_result | None:
    """What is there, if it may be replaced; None if there is nothing."""
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "special file")
        raise WriteFailedError(f"{path} cannot be written: it is a {kind}, not a file")
    if not overwrite and os.path.lexists(path):
        raise WriteFailedError(f"{path} is there already; it was left as it is")
    target = os.path.realpath(path)
    if any(os.path.lexists(f"{target}{log}") for log in _LOGS):
        # Its log would be applied to the new file, and a store that has it open would lose it.
        raise WriteFailedError(f"{path} is a SQLite database in use; name another file")
    return found


def _refusal(path: Path, error: Exception) -> WriteFailedError:
    why = reason(error)
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        why = f"the directory {path.parent} does not exist; create it first"
    return WriteFailedError(f"{path} cannot be written: {why}")
