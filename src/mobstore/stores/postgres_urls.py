"""PostgreSQL URLs: separate the schema, reject what libpq would misread, hide passwords.

libpq parses the URL itself. It would read some URLs otherwise than they are meant: after an
unescaped `/` in a password, the user is the host and the password the port. In such a URL the
password may be anywhere. So messages quote only a scheme, a schema or the name of a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mobstore.errors import UsageError
from mobstore.model.text import bounded

SCHEMES = ("postgresql", "postgres")
DEFAULT_SCHEMA = "mobstore"
FORM = "postgresql://USER@HOST:PORT/DBNAME?schema=NAME"

_LONGEST_NAME = 63  # bytes; PostgreSQL cuts a longer name, so that two names become one
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_WRONG_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[^:\[\]]*))?")
_PASSWORD = re.compile(r"(//[^:/?@]*):[^/?@]*@")
_SECRET_NAME = re.compile(r"pass|secret|key", re.IGNORECASE)
_PARAMETER = re.compile(r"([?&])([^=&]*)=[^&]*")
_ESCAPES = "@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25, a space is %20"
_ESCAPE = f"in a user, password or value, escape special characters: {_ESCAPES}"


def split_url(url: str) -> tuple[str, str]:
    """Return the URL for libpq, without the parameter `schema`, and the name of the schema.

    Args:
        url: a URL with a scheme of PostgreSQL or one of SQLAlchemy's for it, in any case.

    Raises:
        UsageError: the URL is wrong; the message has no part that may be a password.
    """
    scheme, _, rest = url.partition(":")
    if "+" in scheme:
        raise UsageError(
            f"'{bounded(scheme, 40)}:' is a scheme of SQLAlchemy; begin the URL with postgresql://"
        )
    if scheme not in SCHEMES:
        raise UsageError(f"'{scheme}:' is not lower case; begin the URL with postgresql://")
    if not rest.startswith("//"):
        raise UsageError(f"'{scheme}:' needs two slashes, as in {FORM}")
    _check_characters(rest)
    before, found, after = rest[2:].partition("@")
    # A second @, or one after a slash or question mark, is in a password, or may be.
    if found and ("/" in before or "?" in before or "@" in after):
        raise UsageError(f"a PostgreSQL URL has one @, after the user and password; {_ESCAPE}")
    address, _, query = (after if found else before).partition("?")
    hosts = address.partition("/")[0]
    for host in hosts.split(","):
        matched = _HOST.fullmatch(host)
        if matched is None:
            raise UsageError(
                "a host of the PostgreSQL URL has several colons or wrong brackets; an IPv6"
                f" address needs brackets, as in [::1]:5432; {_ESCAPE}"
            )
        _check_port(matched["port"] or "")
    parameters = list(_parameters(query))
    for name, value in parameters:
        if name == "port":
            for port in _text(value).split(","):
                _check_port(port)
    schemas = [value for name, value in parameters if name == "schema"]
    if len(schemas) > 1:
        raise UsageError("the PostgreSQL URL has the parameter schema twice; name one schema")
    schema = _schema(schemas[0]) if schemas else DEFAULT_SCHEMA
    kept = [text for text in query.split("&") if _text(text.partition("=")[0]) != "schema"]
    return url.partition("?")[0] + (f"?{'&'.join(kept)}" if any(kept) else ""), schema


def parameter_names(url: str) -> list[str]:
    """Return the names of the parameters of a URL that `split_url` returned."""
    return [name for name, _ in _parameters(url.partition("?")[2])]


def without_passwords(url: str) -> str:
    """Return a URL that `split_url` accepts with `***` for each password; the user stays."""

    def hide(found: re.Match[str]) -> str:
        is_secret = _SECRET_NAME.search(_text(found[2]))
        return f"{found[1]}{found[2]}=***" if is_secret else found[0]

    return _PARAMETER.sub(hide, _PASSWORD.sub(r"\1:***@", url, count=1))


def _check_characters(rest: str) -> None:
    if _UNPRINTABLE.search(rest):
        raise UsageError(f"the PostgreSQL URL contains a space or a control character; {_ESCAPE}")
    if "#" in rest:
        raise UsageError(f"a PostgreSQL URL has no fragment after #; {_ESCAPE}")
    if _WRONG_ESCAPE.search(rest):
        raise UsageError(f"% in the PostgreSQL URL is not followed by two digits; {_ESCAPE}")
    if "%00" in rest:
        raise UsageError("the PostgreSQL URL contains NUL, as %00; PostgreSQL has no such names")


def _check_port(port: str) -> None:
    """Check a port; empty means the default."""
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:9]) < 2**16):
        raise UsageError(
            f"a port of the PostgreSQL URL is not a number from 1 to 65535; the form is {FORM};"
            f" {_ESCAPE}"
        )


def _parameters(query: str) -> Iterator[tuple[str, str]]:
    """Yield the names of parameters and their values, which are still escaped."""
    texts = query.split("&")
    if not texts[-1]:  # libpq accepts `&` at the end
        texts.pop()
    for text in texts:
        if text.count("=") != 1:
            raise UsageError(
                "a parameter of the PostgreSQL URL is not NAME=VALUE; an = in a value is %3D;"
                f" {_ESCAPE}"
            )
        name, _, value = text.partition("=")
        yield _text(name), value


def _text(escaped: str) -> str:
    return _unescaped(escaped).decode(errors="replace")


def _unescaped(text: str) -> bytes:
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())


def _schema(value: str) -> str:
    """Return the schema's name, whose escapes are those of libpq: `+` is no space."""
    encoded = _unescaped(value)
    name = encoded.decode(errors="replace")
    if name.encode() != encoded:
        raise UsageError("the schema of the PostgreSQL URL is not UTF-8")
    if not name:
        raise UsageError(
            f"the schema of the PostgreSQL URL is empty; leave it out for schema={DEFAULT_SCHEMA}"
        )
    if len(encoded) > _LONGEST_NAME:
        raise UsageError(
            f"the schema of the PostgreSQL URL has {len(encoded):,} bytes; PostgreSQL allows"
            f" {_LONGEST_NAME}"
        )
    if name.startswith("pg_") or name == "information_schema":
        raise UsageError(
            f"PostgreSQL reserves the schema {bounded(name, 80)}; use another name, such as"
            f" schema={DEFAULT_SCHEMA}"
        )
    return name
