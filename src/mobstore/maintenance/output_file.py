"""New files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from mobstore.engines.sqlite.usage import in_use, is_side_file
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
_OWN = 0o600
_RIGHTS = 0o777  # without the bits that let others run a file as somebody else


@contextmanager
def new_file(path: Path, *, overwrite: bool = False) -> Generator[Path]:
    """Give an empty file to write to, which is put in its place when the block ends well.

    It lies beside `path` under a hidden name, and is removed if the block raises. A process that
    is killed may leave it behind, but nothing half written under the name that was asked for.

    Nobody but its owner may read or write it (0600), unless the umask is stricter still. One that
    replaces another has the mode of that one when it is in its place.

    A symbolic link is followed: the file it leads to is replaced, and the link stays.

    Args:
        path: the file to be.
        overwrite: whether it may replace one. If not, one that appears meanwhile is left, too.

    Raises:
        InternalError: the path is a URL, or begins with ~.
        WriteFailedError: there is one already; it is no regular file, a SQLite database in use,
            or the log of one; or it cannot be written.
    """
    parse_path(path)
    try:
        _replaceable(path, overwrite=overwrite)
        target = Path(os.path.realpath(path))
        beside = target.with_name(f".{target.name[:40]}.{token_hex(8)}")
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWN))
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from error
    try:
        yield beside
        replaced = _replaceable(target, overwrite=overwrite)  # it may have taken long
        with beside.open("r+b") as written:
            os.fsync(written.fileno())
        if replaced is not None:
            beside.chmod(stat.S_IMODE(replaced.st_mode) & _RIGHTS)
        if overwrite:
            beside.replace(target)
        else:
            _put(beside, target)
    except FileExistsError as error:
        raise _there(path) from error
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    _keep(target.parent)


def _replaceable(path: Path, *, overwrite: bool) -> os.stat_result | None:
    """What is there, if it may be replaced; None if there is nothing."""
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "special file")
        raise WriteFailedError(f"{plain(path)} cannot be written: it is a {kind}, not a file")
    if not overwrite and os.path.lexists(path):
        raise _there(path)
    target = Path(os.path.realpath(path))
    if is_side_file(target):
        raise WriteFailedError(
            f"{plain(path)} has the name that SQLite gives to a log of the file beside it; name"
            " another file"
        )
    if in_use(target):
        if found is None:
            raise WriteFailedError(
                f"{plain(path)} is not there, but a log of it is, which SQLite would apply to the"
                " new file; name another file, or remove the log if nobody needs it"
            )
        # Its log would be applied to the new file, and whoever has it open would lose it.
        raise WriteFailedError(f"{plain(path)} is a SQLite database in use; name another file")
    return found


def _put(beside: Path, target: Path) -> None:
    """Give a file another name, if that is free; a rename would replace what has it."""
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except (OSError, AttributeError):  # FAT and some containers have no links, others no call
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWN))
        try:
            beside.replace(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def _keep(directory: Path) -> None:
    """Let the names in a directory survive a power failure, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _there(path: Path) -> WriteFailedError:
    return WriteFailedError(f"{plain(path)} is there already; it was left as it is")


def _refusal(path: Path, error: Exception) -> WriteFailedError:
    why = reason(error)
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        why = f"the directory {plain(path.parent)} does not exist; create it first"
    return WriteFailedError(f"{plain(path)} cannot be written: {why}")


def check_not_in_use(file: BinaryIO) -> None:
    """Reject a database that is in use, such as the store's own file, as what is written to.

    Raises:
        WriteFailedError: this process has it open, or there is a log that would be applied to it.
    """
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, TypeError, ValueError):  # it is no file of the system
        return
    if _is_open(status) or _has_log(file, status):
        raise WriteFailedError("the file is a SQLite database in use; write to another one")


def _is_open(status: os.stat_result) -> bool:
    if "mobstore.engines.sqlite.connections" not in sys.modules:
        return False  # none is, and there need not be a driver
    from mobstore.engines.sqlite.connections import is_open

    return is_open(status)


def _has_log(file: BinaryIO, status: os.stat_result) -> bool:
    try:
        path = Path(os.path.realpath(file.name))
        named = os.path.samestat(path.stat(), status)
    except (AttributeError, OSError, TypeError, ValueError):  # it has no name, or has lost it
        return False
    return named and any(os.path.lexists(f"{path}{log}") for log in _LOGS)
