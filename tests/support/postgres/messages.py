"""Just enough of PostgreSQL's protocol, version 3, to find the commits of a connection.

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import re
from typing import BinaryIO

_ENCRYPTION = {80877103, 80877104}
"""Codes of the requests for TLS and GSSAPI, which the server answers with one byte."""
_COMMIT = re.compile(rb"(?:^|;)\s*COMMIT\s*;?\s*$", re.IGNORECASE)


def read_start(stream: BinaryIO) -> bytes:
    """Return the next packet of a connection's start, which has no type; empty at the end."""
    size = stream.read(4)
    return size + stream.read(int.from_bytes(size) - 4) if len(size) == 4 else b""


def requests_encryption(packet: bytes) -> bool:
    """Return whether a packet of the start requests encryption; more packets follow it."""
    return int.from_bytes(packet[4:8]) in _ENCRYPTION


def read_message(stream: BinaryIO) -> bytes:
    """Return the next message, type and size included; empty at the end."""
    start = stream.read(5)
    if len(start) < 5:  # the connection was cut within it
        return b""
    return start + stream.read(int.from_bytes(start[1:]) - 4)


def confirms_commit(answer: bytes) -> bool:
    """Return whether a message of the server is the confirmation of a COMMIT."""
    return answer == b"C\0\0\0\x0bCOMMIT\0"


class Requests:
    """The prepared statements and portals of a client, as far as they are commits."""

    def __init__(self) -> None:
        self._statements: dict[bytes, bool] = {}
        self._portals: dict[bytes, bool] = {}

    def commits(self, request: bytes) -> bool:
        """Return whether the server commits when it receives a message; call it for each one."""
        kind, body = request[:1], request[5:]
        first, _, rest = body.partition(b"\0")
        second = rest.partition(b"\0")[0]
        if kind == b"Q":  # text
            return _COMMIT.search(first) is not None
        if kind == b"P":  # statement, text
            self._statements[first] = _COMMIT.search(second) is not None
        elif kind == b"B":  # portal, statement
            self._portals[first] = self._statements.get(second, False)
        elif kind == b"E":  # portal
            return self._portals.get(first, False)
        return False
