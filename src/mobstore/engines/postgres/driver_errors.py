"""Errors of the server and of connections, and their translation for callers.

A server's error keeps its SQLSTATE and its primary message. The detail is dropped, because it may
quote stored values.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from psycopg import pq

from mobstore.engines.postgres.values import original
from mobstore.errors import MobStoreError, ReadFailedError, UsageError, WriteFailedError

Kind: TypeAlias = type[ReadFailedError] | type[WriteFailedError]
"""The kind of error to raise."""

DIVISION_BY_ZERO = "22012"
UNIQUE_VIOLATION = "23505"
_KEY = re.compile(r"\)=\((.*)\)", re.DOTALL)  # in "Key (name)=(ann) already exists."
RETRY = frozenset({"40001", "40P01"})
"""Serialization failures and deadlocks: the whole transaction is rolled back, and can be rerun."""
WRONG_SETTING = "08001"
"""The state of connections that fail by a setting of the client, such as a certificate."""
LASTING = frozenset({WRONG_SETTING, "28000", "28P01", "3D000", "42501", "0A000"})
"""Reasons against a connection that no further attempt changes."""
_GONE = frozenset({"0A000", "3F000", "42P01", "42703"})  # 0A000: a column has another type
_RETRY_SAFE = {
    "53100": "the server's disk is full; free some space there",
    "53200": "the server is out of memory",
    "53300": "the server has no connection left; close some, or raise max_connections",
    "53400": "the server's configured limit is exceeded",
    "55P03": "another process holds a lock of the store; try again",
    "57014": "the server cancelled a statement, by statement_timeout or by a user; try again",
    "57P03": "the server is starting up or shutting down; try again",
}
_FINAL = {
    "22P05": "a text has no form in the database's encoding",
    "25006": (
        "the server is read-only, such as a standby; add target_session_attrs=read-write to a URL"
        " with several hosts, or open the store with read_only=True"
    ),
    "28000": "the server rejects this user; check the user, and the server's pg_hba.conf",
    "28P01": "the password is wrong or missing; check PGPASSWORD or ~/.pgpass",
    "3D000": "the database does not exist; create it, or correct the URL",
    "42501": (
        "the role lacks a right, or row-level security hides rows from it; it needs USAGE on the"
        " schema, SELECT, INSERT, UPDATE and DELETE on its tables, and to create a store, CREATE on"
        " the database, or on an empty schema"
    ),
    "54000": (
        "the ids of a row are too long together; PostgreSQL indexes at most about 2,700 bytes"
    ),
}


class ServerError(Exception):
    """An error that the server reported; the connection lives on.

    Attributes:
        sqlstate: its code of five characters.
        place: the number of the statement in its exchange, from 0.
        constraint: the name of the violated constraint, or "".
        key: the key that violates it, as text, or "".
    """

    def __init__(
        self, sqlstate: str, message: str, place: int = 0, constraint: str = "", key: str = ""
    ) -> None:
        super().__init__(f"{message} (SQLSTATE {sqlstate})")
        self.sqlstate: str = sqlstate
        self.place: int = place
        self.constraint: str = constraint
        self.key: str = key


class LostError(Exception):
    """A connection that was lost or never made, or a server that did not answer in time.

    Attributes:
        sqlstate: the server's reason for closing it; "" if it gave none.
    """

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate: str = sqlstate


def error_of(result: pq.abc.PGresult, place: int) -> ServerError | LostError:
    """Return the error in a result."""

    def field(code: pq.DiagnosticField) -> str:
        return (result.error_field(code) or b"").decode("utf-8", "replace")

    sqlstate = field(pq.DiagnosticField.SQLSTATE)
    message = field(pq.DiagnosticField.MESSAGE_PRIMARY)
    if not sqlstate or field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) in {"FATAL", "PANIC"}:
        return LostError(message or "the server closed the connection", sqlstate)
    key = _KEY.search(field(pq.DiagnosticField.MESSAGE_DETAIL))
    return ServerError(
        sqlstate,
        message,
        place,
        field(pq.DiagnosticField.CONSTRAINT_NAME),
        original(key[1]) if key and sqlstate == UNIQUE_VIOLATION else "",
    )


def translate(error: ServerError | LostError, where: str, kind: Kind) -> MobStoreError:
    """Translate an error for callers; the caller makes it the cause.

    Args:
        error: the error.
        where: the store, for the message.
        kind: the kind of error.
    """
    code = error.sqlstate
    if code in _RETRY_SAFE:
        return kind(f"{where}: {_RETRY_SAFE[code]}", retry_safe=True)
    if code in _FINAL:
        return kind(f"{where}: {_FINAL[code]}")
    if code in _GONE:
        return kind(
            f"{where} was removed, or its tables were changed, while it was open; open it again"
        )
    if code in RETRY:
        return kind(f"{where}: other transactions conflict with this one", retry_safe=True)
    if isinstance(error, LostError):
        safe = code != WRONG_SETTING
        return kind(f"{where}: the connection to the server failed: {error}", retry_safe=safe)
    return kind(f"{where}: the server failed: {error}")


def wrong_conninfo() -> UsageError:
    """Return the error for a text that libpq cannot parse; libpq's message may quote a password."""
    return UsageError(
        "the text after postgresql: is not a connection URL; use"
        " postgresql://USER@HOST:PORT/DATABASE?schema=NAME, and percent-encode special characters"
    )
