"""Upgrades of files that an earlier release created.

A change of the layout increases `FORMAT` and adds the format before it here: its statements, frozen
as text, and the step to the next format.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from mobstore.engines.clock import machine_time
from mobstore.engines.sqlite.formats import FORMAT_1
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


def _to_2(connection: sqlite3.Connection) -> None:
    """Add claims, consumers and keys of events; runs that have not ended are due now at latest."""
    for statement in SCHEMA:  # format 2's; a third format freezes them as FORMAT_2
        if statement not in FORMAT_1:
            connection.execute(statement)
    connection.execute(
        "INSERT INTO run_claims"
        " SELECT run_id, number, mob_id, flow_id, status, min(created_at, ?), '', 0, 0 FROM runs"
        " WHERE status IN ('pending', 'running')",
        (machine_time(),),
    )


EARLIER: dict[int, EarlierFormat] = {1: EarlierFormat(FORMAT_1, _to_2)}
"""Every format from 1 to the one before `FORMAT`."""


def statements(version: int) -> tuple[str, ...]:
    """Return the statements that create the tables and indexes of a format."""
    return SCHEMA if version == FORMAT else EARLIER[version].statements


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Change a file from an earlier format to the present one, within the open transaction."""
    for earlier in range(version, FORMAT):
        EARLIER[earlier].to_next(connection)
