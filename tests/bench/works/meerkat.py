"""Imports of a database of the reference: time and memory."""

from __future__ import annotations

import gzip
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import UUID

from bench.logs import open_mobstore
from bench.outcome import Check, Outcome, cost
from bench.turns import Contestant, Opener, Settings, Stopwatch, Turn, compete
from mobstore.meerkat import import_meerkat

SAMPLE = Path(__file__).parents[2] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
PARSING = "json.loads of the same bytes"
SMALL = 40
_JSON = {
    "mob_events": "event_json",
    "mob_runs": "run_json",
    "mob_specs": "spec_json",
    "realm_profiles": "profile_json",
}
# The peak of this program alone: that of getrusage includes the parent's.
_CHILD = """
import asyncio, sys
from mobstore import open_stores
from mobstore.meerkat import import_meerkat

async def main():
    async with open_stores(f"sqlite:{sys.argv[2]}") as stores:
        await import_meerkat(sys.argv[1], stores)

asyncio.run(main())
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def meerkat(settings: Settings) -> Iterator[Outcome]:
    """Measure imports of the reference's sample, with rows repeated under new ids and cursors."""
    times = 5 if settings.quick else 20
    found = compete(
        [Contestant("mobstore", _importing(times)), Contestant(PARSING, _parsing(times))],
        settings,
        most=1,
    )
    yield Outcome(
        f"import of the reference's database, its rows repeated {times} times",
        "imports/s",
        list(found.values()),
        [cost(found["mobstore"], found[PARSING], 6)],
        ["into a new SQLite file; one transaction, durable in the end"],
    )
    if sys.platform != "linux":
        return
    small, large = _peaks(SMALL, settings), _peaks(10 * SMALL, settings)
    yield Outcome(
        "peak memory of an import in a process of its own, and of a file ten times as large",
        "",
        checks=[
            Check("large / small", median(large) / median(small), 1.2, at_most=True),
            Check("small", median(small), unit="MB"),
            Check("large", median(large), unit="MB"),
        ],
        notes=[
            f"the sample's rows repeated {SMALL} and {10 * SMALL} times: both files hold more rows"
            " than an import reads at once"
        ],
    )


def _importing(times: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        _repeat(path, times)
        imports = 0

        async def turn(count: int) -> float:
            nonlocal imports
            assert count == 1
            imports += 1
            target = path.with_name(f"{path.stem}-{imports}.db")
            async with open_mobstore(target) as stores:
                with Stopwatch() as watch:
                    report = await import_meerkat(path, stores)
            assert report.runs == 8 * times
            target.unlink()
            return watch.seconds

        yield turn

    return opened


def _parsing(times: int) -> Opener:
    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Turn]:
        _repeat(path, times)
        with closing(sqlite3.connect(path)) as connection:
            documents = [
                document
                for table, column in _JSON.items()
                for (document,) in connection.execute(f"SELECT {column} FROM {table}")
            ]

        async def turn(count: int) -> float:
            with Stopwatch() as watch:
                for _ in range(count):
                    for document in documents:
                        json.loads(document)
            return watch.seconds

        yield turn

    return opened


def _peaks(times: int, settings: Settings) -> list[float]:
    """Return the peak memory of a few imports, in megabytes."""
    with TemporaryDirectory(dir=settings.directory) as place:
        source = Path(place) / "source.db"
        _repeat(source, times)
        return [
            int(
                subprocess.run(
                    [sys.executable, "-c", _CHILD, source, Path(place) / f"{n}.db"],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            / 1024
            for n in range(1 if settings.quick else 3)
        ]


def _repeat(path: Path, times: int) -> None:
    """Write the sample with its rows repeated; the first copy is unchanged."""
    path.write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    with closing(sqlite3.connect(path)) as file:
        events = file.execute("SELECT cursor, event_json FROM mob_events").fetchall()
        runs = file.execute("SELECT run_id, run_json FROM mob_runs").fetchall()
        specs = file.execute("SELECT mob_id, spec_json FROM mob_specs").fetchall()
        profiles = file.execute("SELECT * FROM realm_profiles").fetchall()
        last = max(cursor for cursor, _ in events)
        for n in range(1, times):
            moved = [
                (
                    cursor + n * last,
                    b'{"cursor":%d,%s' % (cursor + n * last, text.split(b",", 1)[1]),
                )
                for cursor, text in events
            ]
            file.executemany("INSERT INTO mob_events VALUES (?, ?)", moved)
            for run_id, text in runs:
                fresh = str(UUID(int=UUID(run_id).int ^ n))
                renamed = text.replace(run_id.encode(), fresh.encode())
                file.execute("INSERT INTO mob_runs VALUES (?, ?)", (fresh, renamed))
            renewed = [(f"{mob_id}-{n}", text) for mob_id, text in specs]
            file.executemany("INSERT INTO mob_specs VALUES (?, ?)", renewed)
            others = [(f"{name}-{n}", *rest) for name, *rest in profiles]
            file.executemany("INSERT INTO realm_profiles VALUES (?, ?, ?, ?, ?)", others)
        file.execute("UPDATE mob_event_meta SET value = ?", (times * last + 1,))
        file.commit()
