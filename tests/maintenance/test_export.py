"""An export is a snapshot, and touches its file only once it is complete."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import pytest

import mobstore
from engines.support import open_files, plain
from maintenance.support import (
    entries,
    exported,
    fill,
    imported,
    is_empty,
    load,
    path_of,
    rejection,
    rows_of,
    stores_of,
)
from mobstore.engines.memory import MemoryEngine
from mobstore.maintenance import json_lines
from mobstore.maintenance.transfer import copy, export_stores, import_stores
from mobstore.operations.events import clear
from mobstore.scripts.tables import (
    COUNTERS,
    EVENT_KEYS,
    EVENTS,
    FRAMES,
    IDENTITY,
    LOOP_OUTPUTS,
    META,
    RUN_STATES,
    SPECS,
    STEP_LEDGER,
    MetaRow,
)
from mobstore.scripts.transaction import Delete, LoadingScript, Put, Script, Write
from mobstore.testing import samples

T = TypeVar("T")
engines = pytest.mark.parametrize("engine", ["memory", "sqlite"])


class Restarting(MemoryEngine):
    """An engine that abandons each script several times before it runs it to the end."""

    abandoned = 0

    async def read(self, make: Callable[[], Script[T]]) -> T:
        self._abandon(lambda: self, make)
        return await super().read(make)

    async def load(self, make: Callable[[], LoadingScript[T]]) -> T:
        self._abandon(MemoryEngine, make)  # its writes are rolled back
        return await super().load(make)

    def _abandon(
        self,
        engine_of: Callable[[], MemoryEngine],
        make: Callable[[], Script[Any] | LoadingScript[Any]],
    ) -> None:
        for steps in (1, 5, 40, 200):
            engine, script = engine_of(), make()
            with suppress(StopIteration):
                asked: Any = next(script)
                for _ in range(steps):
                    asked = script.send(
                        tuple([engine._tables.answer_or_write(one) for one in asked])
                    )
                self.abandoned += 1
            script.close()


@pytest.mark.slow
def test_an_engine_may_restart_a_script() -> None:
    async def check() -> None:
        async with (
            mobstore.open_stores("memory:") as start,
            mobstore.MobStores(Restarting()) as one,
            mobstore.open_stores("memory:") as other,
        ):
            await fill(start)
            data = await exported(start)
            reports: list[int] = []
            await import_stores(
                io.BytesIO(data), one, progress=lambda done, _: reports.append(done)
            )
            assert len(reports) > len(set(reports))  # some attempts reported progress
            assert rows_of(one) == rows_of(start)
            assert await exported(one) == data
            assert cast("Restarting", one.engine).abandoned >= 6
            await copy(one, other)
            assert rows_of(other) == rows_of(start)

    asyncio.run(check())


class Shrinking(MemoryEngine):
    """An engine that runs each reading script twice, and loses its events in between."""

    async def read(self, make: Callable[[], Script[T]]) -> T:
        await super().read(make)
        await self.write(clear)
        return await super().read(make)


def test_an_earlier_attempt_leaves_nothing() -> None:
    async def check() -> None:
        async with (
            mobstore.MobStores(Shrinking()) as one,
            mobstore.open_stores("memory:") as other,
        ):
            for stores in (one, other):
                await stores.events.append_batch([samples.event(str(n)) for n in range(500)])
            await other.events.clear()
            identity = MetaRow(IDENTITY, str(await one.identity()))
            await load(other, Put(META, (identity,)))
            assert await exported(one) == await exported(other)

    asyncio.run(check())


def test_the_same_store_gives_the_same_bytes(tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            await fill(stores)
            first = await exported(stores)
            assert await exported(stores) == first
            with zipfile.ZipFile(io.BytesIO(first)) as archive:
                dates = {entry.date_time for entry in archive.infolist()}
            assert dates == {(1980, 1, 1, 0, 0, 0)}  # none, rather than the time of the export

    asyncio.run(check())


@pytest.mark.parametrize("name", ["events", "runs"])
def test_an_export_is_a_snapshot(name: str, tmp_path: Path) -> None:
    """At each progress report another writer commits before the export continues."""

    async def check() -> None:
        loop = asyncio.get_running_loop()
        written: list[int] = []

        async def write() -> None:
            number = len(written) + 1000
            if name == "events":
                await stores.events.append_batch([samples.event() for _ in range(7)])
            else:
                await stores.runs.create_run(samples.full_run(number))
            written.append(number)

        def progress(_done: int, _total: int) -> None:
            asyncio.run_coroutine_threadsafe(write(), loop).result(30)

        async with stores_of("sqlite", tmp_path) as stores, stores_of("memory", tmp_path) as other:
            await stores.events.append_batch([samples.event() for _ in range(1400)])
            for number in range(20):
                await stores.runs.create_run(samples.full_run(number))
            before = rows_of(stores)
            file = io.BytesIO()
            await export_stores(stores, file, progress=progress)
            assert len(written) >= 5
            assert rows_of(stores) != before
            await import_stores(file, other)
            assert rows_of(other) == before

    asyncio.run(check())


class Pipe(io.RawIOBase):
    """A file that can be written to and nothing else."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.written += data
        return len(data)


def test_the_file_need_not_seek(good: bytes) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await imported(good, stores)
            pipe = Pipe()
            await export_stores(stores, cast("BinaryIO", pipe))
            assert bytes(pipe.written) == good

    asyncio.run(check())


def test_it_is_written_from_the_current_position(good: bytes) -> None:
    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await imported(good, stores)
            file = io.BytesIO(b"before" + bytes(len(good)) + b"after")
            file.seek(6)
            await export_stores(stores, file)
            assert file.getvalue() == b"before" + good + b"after"
            assert not file.closed

    asyncio.run(check())


class Half(io.BytesIO):
    def write(self, data: Any, /) -> int:
        return super().write(data[: len(data) // 2])


class Full(io.BytesIO):
    def write(self, data: Any, /) -> int:  # noqa: ARG002 - part of the interface
        raise OSError(28, "no space left")


class FullWhenFlushed(io.BytesIO):
    def flush(self) -> None:
        if not self.closed:
            raise OSError(28, "no space left")


@engines
@pytest.mark.parametrize("kind", [Half, Full, FullWhenFlushed])
def test_a_file_that_cannot_be_written(
    engine: str, kind: type[io.BytesIO], good: bytes, tmp_path: Path
) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await imported(good, stores)
            closed = kind()
            io.BytesIO.close(closed)
            for file in (kind(), closed):
                with pytest.raises(mobstore.WriteFailedError):
                    await export_stores(stores, file)
            assert await exported(stores) == good

    asyncio.run(check())


class Disk(io.FileIO):
    """A file on a disk with little free space."""

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > 1000:
            raise OSError(28, "no space left")
        return super().write(data)


@engines
@pytest.mark.parametrize("buffer", [None, 10, 1500, 2**20])
def test_no_room_for_a_temporary_file(
    engine: str, buffer: int | None, good: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def temporary() -> BinaryIO:
        if buffer is None:
            raise FileNotFoundError("no folder for it")
        return cast("BinaryIO", io.BufferedRandom(Disk(tmp_path / "temporary", "w+b"), buffer))

    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores, stores_of(engine, tmp_path) as other:
            await imported(good, stores)
            monkeypatch.setattr("mobstore.maintenance.temporary_file.TemporaryFile", temporary)
            file = io.BytesIO()
            with pytest.raises(mobstore.WriteFailedError, match="temporary file"):
                await export_stores(stores, file)
            with pytest.raises(mobstore.WriteFailedError, match="temporary file"):
                await copy(stores, other)
            assert file.getvalue() == b""
            assert is_empty(other)
            monkeypatch.undo()
            assert await exported(stores) == good

    asyncio.run(check())


DAMAGE: list[tuple[Write, str]] = [
    (Delete(COUNTERS, ("next_cursor",)), "table events, key 1: the counter next_cursor"),
    (Delete(RUN_STATES, (str(samples.run_id(1)),)), "table run_states: a run has no state"),
    (
        Delete(STEP_LEDGER, (str(samples.run_id(1)), 1)),
        f"table step_ledger, key {samples.run_id(1)}, 2: its position is not 1",
    ),
    (
        Delete(LOOP_OUTPUTS, (str(samples.run_id(2)), "loop")),
        f"table loop_step_outputs, key {samples.run_id(2)}, loop, 1, z: its row in",
    ),
    (
        Put(LOOP_OUTPUTS, (LOOP_OUTPUTS.row(str(samples.run_id(2)), "loop", 10**12),)),
        ": its loops have more iterations than their outputs allow",
    ),
    (
        Put(LOOP_OUTPUTS, (LOOP_OUTPUTS.row(str(samples.run_id(2)), "loop", 1),)),
        "its loop has no such iteration",
    ),
    (
        Put(FRAMES, (FRAMES.row("lost", "frame", "{}"),)),
        "table frames, key lost, frame: its row in runs is missing",
    ),
    (
        Put(FRAMES, (FRAMES.row(str(samples.run_id(1)), "frame", cast("str", b"{}")),)),
        f"table frames, key {samples.run_id(1)}, frame: its kernel_state is not text",
    ),
    (
        Put(SPECS, (SPECS.row("mob", cast("int", "one"), "{}"),)),
        "table specs, key mob: its revision is not a number",
    ),
]


@engines
@pytest.mark.parametrize(("damage", "words"), DAMAGE)
def test_a_corrupt_row_is_named(
    engine: str, damage: Write, words: str, good: bytes, tmp_path: Path
) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores, stores_of(engine, tmp_path) as other:
            await imported(good, stores)
            await load(stores, damage)
            file = io.BytesIO()
            with pytest.raises(mobstore.SerializationError) as caught:
                await export_stores(stores, file)
            assert words in str(caught.value)
            assert file.getvalue() == b""
            with pytest.raises(mobstore.SerializationError):
                await copy(stores, other)
            assert is_empty(other)

    asyncio.run(check())


BROKEN: list[tuple[Write, str]] = [
    *(
        (Put(FRAMES, (FRAMES.row(str(samples.run_id(1)), "frame", state),)), "table frames, line ")
        for state in ("", "{}", "x", '{"phase":"","fields":{}},"a":{}', "{\n")
    ),
    *(
        (Put(EVENTS, (EVENTS.row(2, "mob", time, kind, "", json),)), "table events, line 2: ")
        for time, kind, json in (
            ("2026-03-04", "mob_reset", '{"type":"mob_reset"}'),
            ("2026-03-04T05:06:07.000000000Z", "mob_created", '{"type":"mob_reset"}'),
            ("2026-03-04T05:06:07.000000000Z", "mob_reset", '{"type":"mob_gone"}'),
        )
    ),
]


@engines
@pytest.mark.parametrize(("damage", "words"), BROKEN)
def test_an_import_rejects_json_that_cannot_be_decoded(
    engine: str, damage: Write, words: str, good: bytes, tmp_path: Path
) -> None:
    async def check() -> None:
        async with stores_of(engine, tmp_path) as stores, stores_of(engine, tmp_path) as other:
            await imported(good, stores)
            await load(stores, Delete(EVENT_KEYS, ("key 2",)), damage)
            message = await rejection(await exported(stores), other, mobstore.SerializationError)
            assert words in message

    asyncio.run(check())


def test_json_reformatted_by_another_program(tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores, stores_of("memory", tmp_path) as other:
            await stores.events.append(samples.event())
            before = await stores.events.replay_all()
            with closing(plain(path_of(stores))) as file:
                file.execute("UPDATE events SET kind = replace(kind, ':', ': \n')")
            data = await exported(stores)
            assert entries(data)["events.jsonl"].count(b"\n") == 1
            await imported(data, other)
            assert await other.events.replay_all() == before

    asyncio.run(check())


def test_a_row_too_long_to_be_imported_is_not_exported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_lines, "LONGEST", 1000)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.realm_profiles.create("long", samples.profile("m" * 1000))
            with pytest.raises(mobstore.SerializationError, match="key long: it is longer than"):
                await exported(stores)

    asyncio.run(check())


@engines
def test_a_failing_progress_report_stops_it(engine: str, good: bytes, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == total:
            raise KeyError("enough")

    async def check() -> None:
        file = io.BytesIO()
        async with stores_of(engine, tmp_path) as stores, stores_of(engine, tmp_path) as other:
            await imported(good, stores)
            for attempt in (
                export_stores(stores, file, progress=stop),
                import_stores(io.BytesIO(good), other, progress=stop),
                copy(stores, other, progress=stop),
            ):
                with pytest.raises(KeyError, match="enough"):
                    await attempt
            assert file.getvalue() == b""
            assert is_empty(other)
            assert await exported(stores) == good
            await imported(good, other)

    asyncio.run(check())


def cancelling(task: list[asyncio.Task[Any]], at: int) -> Callable[[int, int], None]:
    """A progress function that cancels a task, and returns when the task has ended."""

    def progress(done: int, _total: int) -> None:
        if done >= at and not task[0].done():
            task[0].get_loop().call_soon_threadsafe(task[0].cancel)
            while not task[0].done():
                os.sched_yield()

    return progress


@pytest.mark.parametrize("at", [1, 500, 3001])
def test_a_cancelled_export_leaves_its_file_alone(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as stores:
            await stores.events.append_batch([samples.event() for _ in range(3000)])
            task: list[asyncio.Task[Any]] = []
            with (tmp_path / "file").open("wb") as file:
                progress = cancelling(task, at)
                task.append(asyncio.create_task(export_stores(stores, file, progress=progress)))
                with pytest.raises(asyncio.CancelledError):
                    await task[0]
            assert (tmp_path / "file").read_bytes() == b""
            assert not open_files(temporary)
            assert len(await stores.events.replay_all()) == 3000
            assert await exported(stores)

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 500, 3001])
@pytest.mark.parametrize("closing", [True, False])
def test_a_cancelled_import_is_all_or_nothing(at: int, closing: bool, tmp_path: Path) -> None:
    async def check() -> None:
        async with stores_of("memory", tmp_path) as one, stores_of("sqlite", tmp_path) as stores:
            await one.events.append_batch([samples.event() for _ in range(3000)])
            task: list[asyncio.Task[Any]] = []
            with io.BytesIO(await exported(one)) as file:
                progress = cancelling(task, at)
                task.append(asyncio.create_task(import_stores(file, stores, progress=progress)))
                with pytest.raises(asyncio.CancelledError):
                    await task[0]
                if closing:
                    file.close()  # while it is read
                # Waits until the writer is done with the import.
                await stores.realm_profiles.create("p", samples.profile())
            assert len(await stores.events.replay_all()) == (0 if closing or at < 3001 else 3000)

    asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2000, 4000, 6001])
def test_a_cancelled_copy_leaves_the_target_empty(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    async def check() -> None:
        async with stores_of("sqlite", tmp_path) as one, stores_of("sqlite", tmp_path) as other:
            await one.events.append_batch([samples.event() for _ in range(3000)])
            task: list[asyncio.Task[Any]] = []
            progress = cancelling(task, at)
            task.append(asyncio.create_task(copy(one, other, progress=progress)))
            with pytest.raises(asyncio.CancelledError):
                await task[0]
            assert (await other.realm_profiles.list()) == []
            # Waits until the writer is done with the copy.
            await other.realm_profiles.create("p", samples.profile())
            assert await other.events.replay_all() == []
            assert not open_files(temporary)
            assert len(await one.events.replay_all()) == 3000

    asyncio.run(check())
