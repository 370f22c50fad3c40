"""The programs of PostgreSQL: where they are, and how they are started."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
"""Debian keeps the server's programs here, one folder per version and none of them on the PATH."""

SBIN = "/usr/sbin"
"""Debian's folder of PgBouncer, which is not on the PATH of every user."""

_PACKAGES = {"initdb": "postgresql", "WebKitWebDriver": "webkit2gtk-driver", "Xvfb": "xvfb"}
"""Debian packages of programs; other programs have a package of their own name."""

# Linux signals a child when the thread that started it ends. This thread ends with the process.
_STARTER = ThreadPoolExecutor(1, "postgres-starter")


def find(name: str) -> Path | None:
    """Return the path of a program, or None if it is missing.

    All programs of the server come from the folder of `initdb`, since /usr/bin holds wrappers of
    some that choose a version themselves. A folder on the PATH precedes Debian's newest version.
    """
    if name == "pgbouncer":
        found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")
        return None if found is None else Path(found)
    if found := shutil.which("initdb"):
        folders = [Path(found).resolve().parent]
    else:
        versions = [path for path in DEBIAN.glob("*/bin") if path.parent.name.isdecimal()]
        folders = sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    programs = (folder / name for folder in folders if (folder / "initdb").exists())
    return next(programs, None)


def path(name: str) -> Path:
    """Return the path of a program, which must be installed."""
    found = find(name)
    # In CI only: elsewhere tests/conftest.py skips tests whose program is missing.
    assert found is not None, missing(name)
    return found


def missing(name: str) -> str:
    """Return the message about a missing program."""
    return f"{name} is missing (Debian: apt-get install {_PACKAGES.get(name, name)})"


def give(folder: Path) -> None:
    """Make the unprivileged user of the servers the owner of a folder."""
    if (user := _user()) is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)


def run(command: Sequence[str | Path], folder: Path) -> None:
    """Run a program to its end as the unprivileged user; an error shows its output."""
    ended = subprocess.run(
        [*_unprivileged(), *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{Path(command[0]).name} failed:\n{ended.stdout}"


def start(command: Sequence[str | Path], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a server as the unprivileged user; it is stopped when this process dies.

    It has a session of its own, so that Ctrl-C in a terminal reaches the tests only.
    """

    def popen() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [*_unprivileged(), *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    return _STARTER.submit(popen).result()


def _user() -> pwd.struct_passwd | None:
    """Return the user of the servers if it is not this process's: servers reject root."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _unprivileged() -> list[str]:
    """Return the start of a command that drops root's rights and dies with this process.

    `setpriv` replaces itself with the program, which so keeps the process id.
    """
    if (setpriv := shutil.which("setpriv", path=f"{os.environ.get('PATH', '')}:/usr/bin")) is None:
        assert os.getuid() != 0, "setpriv is missing (Debian: apt-get install util-linux)"
        return []
    command = [setpriv, "--pdeathsig", "QUIT"]
    if (user := _user()) is not None:
        command += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return command
