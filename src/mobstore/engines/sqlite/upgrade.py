"""Upgrades of files that an earlier release created.

Format 1 is the first format, so `EARLIER` is empty. A change of the layout increases `FORMAT` and
adds the format before it here: its statements, frozen as text, and the step to the next format.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from mobstore.engines.sqlite.rows import SCHEMA
from mobstore.scripts.tables import FORMAT


class EarlierFormat(NamedTuple):
    """A layout that an earlier release created.

    Attributes:
        statements: create its tables and indexes; a file is compared with them before a step runs.
        to_next: changes a file to the next format, within the open transaction.
    """

    statements: tuple[str, ...]
    to_next: Callable[[sqlite3.Connection], None]


EARLIER: dict[int, EarlierFormat] = {}
"""Every format from 1 to the one before `FORMAT`."""


def statements(version: int) -> tuple[str, ...]:
    """Return the statements that create the tables and indexes of a format."""
    return SCHEMA if version == FORMAT else EARLIER[version].statements


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Change a file from an earlier format to the present one, within the open transaction."""
    for earlier in range(version, FORMAT):
        EARLIER[earlier].to_next(connection)
