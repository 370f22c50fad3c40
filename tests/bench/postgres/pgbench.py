"""pgbench, PostgreSQL's own benchmark, with scripts of its own.

It is written in C, and each of its clients has a connection. Its clients prepare their statements.
A turn is one run; its rate leaves out the time to connect.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import NamedTuple

from bench import samples
from bench.postgres.raw import prepare
from bench.postgres.stage import FAST, Place, Stage
from bench.turns import Contestant, Settings, Turn
from support.postgres import programs

MOST = 64
"""Clients."""

_COLUMNS = "(cursor, mob_id, timestamp, type, run_id, kind)"
# pgbench takes a colon before a letter for a variable, also within a text.
_EVENT = (
    "'tide-desk', now()::text, 'task_created', '',"
    ' \'{"type":"task_created","task_id":"task-1","subject":"Check the figures",'
    '"description":"Every figure of the draft needs its source named."}\''
)
_COUNT = (
    "UPDATE {s}.counters SET value = value + 1 WHERE name = 'next_cursor'"
    " RETURNING value - 1 AS cursor"
)


def least(settings: Settings) -> int:
    """Return the operations of a turn with all clients; the first ones of a client are slower."""
    return MOST * (10 if settings.quick else 20)


class Script(NamedTuple):
    """A script of pgbench.

    Attributes:
        name: its name in the results.
        text: its text, in which `{s}` is the schema.
        prepare: creates its tables.
        operations: number of operations of one transaction of pgbench.
    """

    name: str
    text: str
    prepare: Callable[[Place], Awaitable[None]]
    operations: int = 1

    def at(self, stage: Stage, clients: int, database: str = FAST) -> Contestant:
        """Return the contestant with a number of clients."""

        @asynccontextmanager
        async def opened(_: Path) -> AsyncGenerator[Turn]:
            place = stage.place(database)
            await self.prepare(place)
            with TemporaryDirectory(prefix="mobstore-bench-", dir=stage.directory) as folder:
                file = Path(folder) / "script.sql"
                file.write_bytes(place.sql(self.text))

                async def turn(count: int) -> float:
                    each = -(-count // (clients * self.operations))
                    before = _rows_written(place)
                    rate = self.operations * _rate(place, file, clients, each)
                    _confirm(place, before + clients * each * self.operations)
                    return count / rate

                yield turn

        return Contestant(self.named(clients), opened)

    def named(self, clients: int) -> str:
        """Return the contestant's name."""
        return f"pgbench, {self.name}, {clients} client{'s' if clients > 1 else ''}"


def _rate(place: Place, file: Path, clients: int, each: int) -> float:
    """Return the transactions per second of one run; each client runs the script so often."""
    command: list[str | Path] = [
        programs.path("pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={file}",
        f"--client={clients}", f"--jobs={min(clients, os.cpu_count() or 1)}",
        f"--transactions={each}", place.database,
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+) \(without initial connection time\)", ran.stdout)
    processed = f"actually processed: {clients * each}/{clients * each}"
    if ran.returncode or not found or processed not in ran.stdout:
        raise RuntimeError(f"pgbench failed: {ran.stdout}\n{ran.stderr}")
    return float(found[1])


def _rows_written(place: Place) -> int:
    """Return the number of events and states that were inserted or replaced so far."""
    with place.connect() as connection:
        ((count,),) = connection.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd), 0)::bigint FROM pg_stat_user_tables"
            " WHERE schemaname = %s AND relname IN ('events', 'run_states')",
            (place.schema,),
        ).fetchall()
    return int(count)


def _confirm(place: Place, wanted: int) -> None:
    """Wait for the server's statistics, which sessions report when they end.

    Raises:
        RuntimeError: not every operation has written a row.
    """
    deadline = monotonic() + 2
    while (written := _rows_written(place)) != wanted and monotonic() < deadline:
        sleep(0.02)
    if written != wanted:
        raise RuntimeError(f"pgbench wrote {written} rows, not {wanted}")


# Appends ---------------------------------------------------------------------------------------


async def _sequence(place: Place) -> None:
    await prepare(place)
    place.execute("CREATE SEQUENCE {s}.bench_cursors")


COUNTER_AND_INSERT = Script(
    "counter and insert",
    f"BEGIN;\n{_COUNT} \\gset\n"
    f"INSERT INTO {{s}}.events {_COLUMNS} VALUES (:cursor, {_EVENT});\nEND;\n",
    prepare,
)
ONE_STATEMENT = Script(
    "counter and insert in one statement",
    f"WITH n AS ({_COUNT}) INSERT INTO {{s}}.events {_COLUMNS} SELECT cursor, {_EVENT} FROM n;\n",
    prepare,
)
PLAIN = Script(
    "plain insert",
    f"INSERT INTO {{s}}.events {_COLUMNS} VALUES (nextval('{{s}}.bench_cursors'), {_EVENT});\n",
    _sequence,
)


# Swaps -----------------------------------------------------------------------------------------


def _states(size: int) -> tuple[str, str]:
    """Return two states; a space after each colon hides it from pgbench."""
    first, second = (json.dumps(json.loads(state.to_json())) for state in samples.states(size)[:2])
    assert not {"'", "\\"} & {*first, *second}
    return first, second


def swapping(size: int, *, compression: str | None = None) -> Script:
    """Return the script that replaces the state of a client's run, and then replaces it again."""
    first, second = _states(size)

    async def tables(place: Place) -> None:
        await prepare(place)
        if compression is not None:
            place.execute(
                f"ALTER TABLE {{s}}.run_states ALTER flow_state SET COMPRESSION {compression}"
            )
        place.execute(
            "INSERT INTO {s}.run_states (run_id, flow_state)"
            " SELECT 'run-' || n, %(first)s FROM generate_series(0, 63) n",
            first=first,
        )

    swap = (
        "UPDATE {{s}}.run_states SET flow_state = '{}'"
        " WHERE run_id = 'run-' || :client_id AND flow_state = '{}';\n"
    )
    text = swap.format(second, first) + swap.format(first, second)
    name = "UPDATE" if compression is None else f"UPDATE, {compression}"
    return Script(name, text, tables, operations=2)
