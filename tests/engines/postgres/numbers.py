"""A table of numbers, written without mobstore."""

from __future__ import annotations

from support.postgres.server import Server


def create_table(server: Server, schema: str) -> str:
    """Create a table of numbers, and return its name."""
    table = f"{schema}.numbers"
    server.execute(f"CREATE SCHEMA {schema}")
    server.execute(f"CREATE TABLE {table} (n int)")
    return table


def numbers(server: Server, table: str) -> list[int]:
    """Return the numbers in order."""
    return [n for (n,) in server.execute(f"SELECT n FROM {table} ORDER BY n")]
