"""Files to write to: a new file that appears complete or not at all, and checks of an open one."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from mobstore.errors import WriteFailedError, reason
from mobstore.model.text import plain
from mobstore.stores.urls import parse_path

_KINDS = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
_LOGS = ("-wal", "-shm", "-journal")  # of SQLite, beside a database
_OWNER_ONLY = 0o600
_PERMISSIONS = 0o777  # without setuid and setgid


@contextmanager
def new_file(path: Path, *, overwrite: bool = False) -> Generator[Path]:
    """Yield an empty file to write to, and move it to `path` if the block succeeds.

    The file is beside `path` under a hidden name, and is deleted if the block raises. A killed
    process may leave it there, but never an incomplete file at `path`.

    Its mode is 0600, less what the umask removes. If it replaces a file, it takes the mode of that
    file once it is in place. A symbolic link is followed: its target is replaced, the link stays.

    Args:
        path: the path of the new file.
        overwrite: whether to replace an existing file. If false, a file that appears at `path`
            during the block is kept as well.

    Raises:
        UsageError: the path is a URL, or begins with ~.
        WriteFailedError: the file exists; it is not a regular file, is a SQLite database in use,
            or has the name of a database's log; or it cannot be written.
    """
    parse_path(path)
    try:
        _replaceable(path, overwrite=overwrite)
        target = Path(os.path.realpath(path))
        beside = target.with_name(f".{target.name[:40]}.{token_hex(8)}")
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY))
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    try:
        yield beside
        replaced = _replaceable(target, overwrite=overwrite)  # again: the block may take long
        with beside.open("r+b") as written:
            os.fsync(written.fileno())
        if replaced is not None:
            beside.chmod(stat.S_IMODE(replaced.st_mode) & _PERMISSIONS)
        if overwrite:
            beside.replace(target)
        else:
            _move_without_replacing(beside, target)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    sync_directory(target.parent)


def _replaceable(path: Path, *, overwrite: bool) -> os.stat_result | None:
    """Check that a file may be written at `path`.

    Returns:
        The status of the file it replaces; None if there is no file.
    """
    # Imported here: browsers import this module, and may have no driver.
    from mobstore.engines.sqlite.usage import in_use, is_side_file

    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "special file")
        raise WriteFailedError(f"{plain(path)} cannot be written: it is a {kind}, not a file")
    if not overwrite and os.path.lexists(path):
        raise _exists(path)
    target = Path(os.path.realpath(path))
    if is_side_file(target):
        raise WriteFailedError(
            f"{plain(path)} has the name of a SQLite log of the file beside it; name another file"
        )
    if in_use(target):
        if found is None:
            raise WriteFailedError(
                f"{plain(path)} does not exist, but a log of it does, which SQLite would apply to"
                " the new file; name another file, or remove the log if it is not needed"
            )
        # SQLite would apply its log to the new file, and open connections would lose the old one.
        raise WriteFailedError(f"{plain(path)} is a SQLite database in use; name another file")
    return found


def _move_without_replacing(beside: Path, target: Path) -> None:
    """Move a file to a free name. A rename would replace a file of that name."""
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except (OSError, AttributeError):  # FAT and some containers have no links, others no call
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY))
        try:
            beside.replace(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power failure, if the system supports it."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exists(path: Path) -> WriteFailedError:
    return WriteFailedError(f"{plain(path)} exists already; it was not changed")


def _cannot_write(path: Path, error: Exception) -> WriteFailedError:
    why = reason(error)
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        why = f"the directory {plain(path.parent)} does not exist; create it first"
    return WriteFailedError(f"{plain(path)} cannot be written: {why}")


def check_not_in_use(file: BinaryIO) -> None:
    """Check that an open file to be written is not a database in use, such as the store's own.

    Raises:
        WriteFailedError: this process has opened it as a database, or SQLite would apply a log
            to it.
    """
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, TypeError, ValueError):  # not a file of the system
        return
    if _is_open(status) or _has_log(file, status):
        raise WriteFailedError("the file is a SQLite database in use; write to another one")


def _is_open(status: os.stat_result) -> bool:
    if "mobstore.engines.sqlite.connections" not in sys.modules:
        return False  # no database is open, and there may be no driver to import
    from mobstore.engines.sqlite.connections import is_open

    return is_open(status)


def _has_log(file: BinaryIO, status: os.stat_result) -> bool:
    try:
        path = Path(os.path.realpath(file.name))
        named = os.path.samestat(path.stat(), status)
    except (AttributeError, OSError, TypeError, ValueError):  # it has no name, or has lost it
        return False
    return named and any(os.path.lexists(f"{path}{log}") for log in _LOGS)
