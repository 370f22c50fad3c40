"""Store URLs and paths: parse them, and reject look-alikes by naming the URL to write instead.

No character of a path is escaped or expanded. Only its beginning can make a path look like a URI, a
home directory or a path of another system. Such paths are rejected, because SQLite would create a
file of that name. A prefix `./` forces such a name.
"""

from __future__ import annotations

import os
import re
from os import PathLike
from types import ModuleType
from typing import Literal, NamedTuple

from mobstore.errors import UsageError
from mobstore.model.text import bounded
from mobstore.stores.postgres_urls import FORM, SCHEMES, split_url, without_passwords

EngineName = Literal["memory", "sqlite", "indexeddb", "postgres"]

_ENGINES: dict[str, EngineName] = {
    "memory": "memory",
    "sqlite": "sqlite",
    "indexeddb": "indexeddb",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_DRIVE = re.compile(r"[A-Za-z]:")
_DRIVE_PATH = re.compile(r"[A-Za-z]:[\\/]")
_USER = re.compile(r"//[^/]*@")
_HOME = re.compile(r"~[^\\/]*[\\/]|~$")
_USE = "use memory:, sqlite:PATH or postgresql://HOST/DBNAME, in a browser indexeddb:NAME"
_WITH_COLON = {
    "memory": "memory:",
    "sqlite": "sqlite:PATH",
    "indexeddb": "indexeddb:NAME",
    **dict.fromkeys(SCHEMES, FORM),
}
_MAY_HAVE_PASSWORD = re.compile(r"://.*@|password\s*=", re.DOTALL)
_LONG = "\\\\?\\"
_LONG_SHARE = "\\\\?\\UNC\\"
_LONGEST = 600  # characters of the argument in a message


class Place(NamedTuple):
    """A parsed URL: the engine, and the path or name of the store.

    Of PostgreSQL, the name is the URL for libpq, perhaps with a password, which `repr` hides.
    """

    engine: EngineName
    name: str = ""
    schema: str = ""

    def __repr__(self) -> str:
        name = without_passwords(self.name) if self.engine == "postgres" else self.name
        return f"Place({self.engine!r}, {name!r}, {self.schema!r})"


def parse_url(url: str | PathLike[str], flavour: ModuleType = os.path) -> Place:
    """Parse the URL of a store, or the path of a SQLite file given as a path object.

    Args:
        url: the URL, or the path.
        flavour: `ntpath` or `posixpath`, the rules for paths.

    Raises:
        UsageError: it is not the URL of a store; the message names the URL to write instead.
    """
    if not isinstance(url, str):
        return Place("sqlite", parse_path(url, flavour))
    found = _SCHEME.match(url)
    scheme, rest = (found[1].lower(), url[found.end() :]) if found else ("", url)
    if url == ":memory:":
        raise UsageError(":memory: is not a URL; use memory:")
    if scheme == "file":
        raise _rejection(url, "is a file URI", f"sqlite:{_of_uri(rest, flavour)}")
    if _is_postgres(scheme):
        return Place("postgres", *split_url(url))
    if scheme.startswith("sqlite+"):  # the drivers of SQLAlchemy
        scheme = "sqlite"
        rest = rest if rest.startswith("//") else f"//{rest}"
    if scheme not in _ENGINES:
        raise _not_a_url(url, scheme, flavour)
    if found and found[1] != scheme and not rest.startswith("//"):
        raise _rejection(url, "is not lower case", f"{scheme}:{rest}")
    engine = _ENGINES[scheme]
    if engine == "sqlite":
        if rest.startswith("//"):
            # The part before @ may be a password, such as SQLCipher's.
            raise _alchemy(_USER.sub("//", rest), _USER.sub("//", url), flavour)
        return Place(engine, _path(rest, url, flavour, prefix="sqlite:"))
    if engine == "memory" and rest:
        raise UsageError('memory: takes no name; each open_stores("memory:") is a separate store')
    if engine == "indexeddb" and rest.startswith("//"):
        raise _rejection(
            url, "has slashes before its name", f"indexeddb:{rest.strip('/') or 'mobs'}"
        )
    return Place(engine, rest)


def shown_url(url: str) -> str:
    """Return a URL for people: with `***` for passwords, or for all of one that is malformed.

    Any other text is returned as it is.
    """
    found = _SCHEME.match(url)
    try:
        is_postgres = parse_url(url).engine == "postgres"
    except UsageError:
        scheme = found[0] if found else ""
        has_password = _is_postgres(scheme[:-1].lower()) or _MAY_HAVE_PASSWORD.search(url)
        return f"{scheme}***" if has_password else url
    return without_passwords(url) if is_postgres else url


def parse_path(path: str | PathLike[str], flavour: ModuleType = os.path) -> str:
    """Check the path of a SQLite file.

    Raises:
        UsageError: it is not text, or looks like a URL; the message names the path to write
            instead.
    """
    text: object = path if isinstance(path, str) else _fspath(path)
    if not isinstance(text, str):
        raise UsageError(
            "a store is named by a URL such as sqlite:mobs.db, or a path, not"
            f" {type(path).__name__}"
        )
    return _path(text, text, flavour, prefix="")


def _path(path: str, given: str, flavour: ModuleType, *, prefix: str) -> str:
    """Check a path; `given` is the caller's text, `prefix` the beginning of a URL."""
    if "\0" in path:
        raise UsageError("a path cannot contain NUL")
    if not path:
        raise UsageError("sqlite: needs a path, such as sqlite:mobs.db")
    if path == ":memory:":
        raise UsageError("sqlite: needs a file; for stores in memory use memory:")
    found = _SCHEME.match(path)
    scheme = found[1].lower() if found else ""
    if scheme == "file":
        uri = _of_uri(path[len("file:") :], flavour)
        raise _rejection(given, "is a file URI", f"{prefix}{uri}")
    if _is_postgres(scheme):  # it may hold a password
        if prefix:
            raise UsageError(f"{prefix}{scheme}: names an engine twice; leave out {prefix}")
        raise UsageError("a PostgreSQL URL is not a path; use open_stores(URL)")
    if scheme in _ENGINES:
        if prefix:
            raise _rejection(given, "names an engine twice", path)
        inner = parse_url(path, flavour)  # raises with its own advice if it is wrong
        named = bounded(path, _LONGEST)
        raise UsageError(
            f"{named} is a URL, not a path; use open_stores({named!r})"
            + (f", or the path {bounded(inner.name, _LONGEST)}" if inner.engine == "sqlite" else "")
        )
    if _HOME.match(path) or flavour.expanduser(path) != path:
        home = flavour.expanduser(path)
        use = f"{prefix}{home if home != path else 'PATH with the directory in full'}"
        raise _rejection(given, "begins with ~, which is not expanded", use)
    return _windows(path, given, prefix) if _is_windows(flavour) else _posix(path, given, prefix)


def _posix(path: str, given: str, prefix: str) -> str:
    if _DRIVE_PATH.match(path) or path.startswith("\\\\"):
        raise _rejection(given, "is a Windows path", f"{prefix}/path/to/{_last(path)}")
    return path


def _windows(path: str, given: str, prefix: str) -> str:
    text = path.replace("/", "\\")
    if _DRIVE.match(text[1:]) and text.startswith("\\"):
        raise _rejection(given, "has a slash before its drive", f"{prefix}{path[1:]}")
    if text.startswith(_LONG) and not text.startswith(_LONG_SHARE):
        use = path[len(_LONG) :]
        raise _rejection(given, "is an extended-length path", f"{prefix}{use}")
    if text.startswith("\\\\"):
        use = f"{prefix}C:\\path\\to\\{_last(path)}"
        raise _rejection(given, "is on a network share, where SQLite keeps no WAL", use)
    return path


def _alchemy(path: str, given: str, flavour: ModuleType) -> UsageError:
    """Return the error for `sqlite://...`: three slashes mean a relative path, four an absolute."""
    what = "looks like a SQLAlchemy URL"
    name = path[3:] if path.startswith("///") else path[2:]
    absolute = name.startswith("/")
    name = name.lstrip("/")
    if name in {"", ":memory:"}:
        return _rejection(given, what, "memory:")
    if _DRIVE.match(name) and not _DRIVE_PATH.match(name):
        return _rejection(given, what, f"sqlite:{name}")
    if _DRIVE_PATH.match(name):
        use = name if _is_windows(flavour) else f"/path/to/{_last(name)}"
        return _rejection(given, what, f"sqlite:{use}")
    if absolute:
        return _rejection(given, what, f"sqlite:/{name}")
    return _rejection(given, what, f"sqlite:{name} (relative) or sqlite:/{name}")


def _not_a_url(url: str, scheme: str, flavour: ModuleType) -> UsageError:
    if url in _WITH_COLON:
        return _rejection(url, "has no colon", _WITH_COLON[url])
    if not url:
        return UsageError(f"a store's URL is not empty; {_USE}")
    if scheme or url == ":":
        # Only the scheme: the rest of an unknown URL may hold a password.
        return UsageError(f"no engine for '{bounded(scheme, 40)}:'; {_USE}")
    if _MAY_HAVE_PASSWORD.search(url):
        return UsageError(
            "a store's URL begins with its scheme, without spaces or quotes, such as"
            f" sqlite:PATH or {FORM}"
        )
    try:
        path = _path(url, url, flavour, prefix="sqlite:")
    except UsageError as error:
        return error
    path = f"/{path.lstrip('/')}" if path.startswith("//") else path
    return _rejection(url, "is a path, not a URL", f"sqlite:{path}")


def _of_uri(rest: str, flavour: ModuleType) -> str:
    """Return the path in a `file:` URI, without its query."""
    from urllib.parse import unquote  # slow to import, and only needed here

    path = unquote(rest.partition("?")[0].partition("#")[0])
    if path.startswith("//"):
        host, slash, name = path[2:].partition("/")
        path = f"/{name}" if slash and host in {"", "localhost"} else path[2:]
    if _is_windows(flavour) and _DRIVE.match(path[1:]):
        path = path[1:]
    return path if path not in {"", ":memory:"} else "mobs.db"


def _is_postgres(scheme: str) -> bool:
    return scheme.partition("+")[0] in SCHEMES


def _last(path: str) -> str:
    return re.split(r"[\\/]", path)[-1] or "mobs.db"


def _fspath(path: object) -> object:
    try:
        return os.fspath(path)  # type: ignore[call-overload] # pyright: ignore[reportArgumentType, reportUnknownVariableType, reportCallIssue]
    except TypeError:
        return None


def _is_windows(flavour: ModuleType) -> bool:
    return bool(flavour.sep == "\\")


def _rejection(given: str, what: str, use: str) -> UsageError:
    return UsageError(f"{bounded(given, _LONGEST)} {what}; use {bounded(use, _LONGEST)}")
