"""`open_stores(url, read_only=True)`: no lock, no file left behind, and no writing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from engines.children import append_some, die_with_a_log_of_ours, die_within_a_write, read_as_nobody
from engines.earlier import make_format_1
from engines.support import (
    READS,
    RUN,
    WATCHING,
    every_call,
    hear,
    hold_lock,
    open_files,
    output,
    plain,
    rich_run,
    running,
    side_files,
    tell,
)
from mobstore import (
    ClosedError,
    NotFoundError,
    ReadFailedError,
    SqliteMobStores,
    UsageError,
    open_stores,
)
from mobstore.cli.commands import cli
from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.scripts.tables import EVENTS, FORMAT
from mobstore.scripts.transaction import Commit, DeleteRange, Engine, Scan, Script
from mobstore.testing.samples import tag_of, tagged_event

pytestmark = pytest.mark.process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mobs.db"


async def _fill(path: Path) -> None:
    async with open_stores(f"sqlite:{path}") as stores:
        await stores.runs.create_run(rich_run())
        await stores.events.append(tagged_event("e"))


async def _tags(path: Path) -> list[str]:
    async with open_stores(f"sqlite:{path}", read_only=True, timeout=1) as stores:
        await stores.overview()
        await stores.runs.get_run(RUN)
        return [tag_of(one.kind) for one in await stores.events.replay_all()]


@pytest.mark.parametrize("url", ["memory:", "sqlite:{path}"])
def test_every_call_that_may_write_raises(path: Path, url: str) -> None:
    asyncio.run(_fill(path))
    before = path.read_bytes()

    def script() -> Script[None]:
        yield ()
        return Commit(None, (DeleteRange(Scan(EVENTS)),))

    async def main() -> None:
        async with open_stores(url.format(path=path), read_only=True) as stores:
            engine = stores.engine
            attempts: list[Callable[[], Awaitable[object]]] = [
                *(call.make for call in every_call(stores) if call.method not in READS),
                stores.compact,
                lambda: stores.atomic(_nothing),
                lambda: engine.write(script),
                lambda: engine.load(script),
            ]
            for attempt in attempts:
                with pytest.raises(UsageError, match="open it without read_only to write"):
                    await attempt()
            for call in every_call(stores):
                if call.method in READS - WATCHING:
                    with suppress(NotFoundError):  # nothing is durable in memory
                        await call.make()
            assert await stores.engine.faults() in ([], ())
        with pytest.raises(ClosedError, match="closed"):
            await stores.events.replay_all()

    asyncio.run(main())
    assert path.read_bytes() == before
    assert side_files(path) == []
    assert open_files(path.parent) == []


def test_whatever_an_engine_can_is_passed_on() -> None:
    public = {name for name in vars(Engine) if not name.startswith("_")}
    assert public <= vars(ReadOnlyEngine).keys()


async def _nothing(_: object) -> None:
    pass


def test_a_script_that_writes_is_stopped_by_sqlite_too(path: Path) -> None:
    """A write through the engine below the stores fails as well."""
    asyncio.run(_fill(path))

    async def main() -> None:
        from mobstore.engines.sqlite import SqliteEngine

        engine = await SqliteEngine.open(
            path, durability="full", timeout=1, create=False, read_only=True
        )

        def script() -> Script[None]:
            yield ()
            return Commit(None, (DeleteRange(Scan(EVENTS)),))

        with pytest.raises(Exception, match="read-only"):
            await engine.write(script)
        await engine.close()

    asyncio.run(main())
    assert asyncio.run(_tags(path)) == ["e"]


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_while_another_process_writes(path: Path, lock: str) -> None:
    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("in the log"))
            with running(hold_lock, path, lock) as holder:
                assert hear(holder) == "held"
                assert await asyncio.to_thread(asyncio.run, _tags(path)) == ["e", "in the log"]
                tell(holder)
            await stores.events.append(tagged_event("after"))

    asyncio.run(_fill(path))
    with running(hold_lock, path, lock) as holder:
        assert hear(holder) == "held"
        assert asyncio.run(_tags(path)) == ["e"]
        tell(holder)
    asyncio.run(main())
    assert asyncio.run(_tags(path)) == ["e", "in the log", "after"]


def test_following(path: Path) -> None:
    asyncio.run(_fill(path))

    async def main() -> list[str]:
        found: list[str] = []
        async with open_stores(f"sqlite:{path}", read_only=True) as stores:
            subscription = stores.events.subscribe(1)
            with running(append_some, path, "theirs", 3) as process:
                assert hear(process) == "ready"
                tell(process)
                async with asyncio.timeout(20):
                    while len(found) < 3:
                        found.append(tag_of((await anext(subscription)).kind))
            await subscription.aclose()
        return found

    assert asyncio.run(main()) == ["theirs-0", "theirs-1", "theirs-2"]
    assert side_files(path) == []


# What is there, and what is not ----------------------------------------------------------------


def _refused(path: Path) -> str:
    async def main() -> str:
        for way in (
            open_stores(f"sqlite:{path}", read_only=True),
            SqliteMobStores.open(path, read_only=True),
        ):
            with pytest.raises(ReadFailedError) as caught:
                await way
        return str(caught.value)

    told = asyncio.run(main())
    assert open_files(path.parent) == []
    return told


def test_a_missing_file(path: Path) -> None:
    assert f"{path} does not exist; is the name right?" in _refused(path)
    assert list(path.parent.iterdir()) == []
    assert "create it first" in _refused(path.parent / "missing" / "mobs.db")


def test_an_empty_file(path: Path) -> None:
    path.touch()
    assert "is empty, there is no store in it" in _refused(path)
    assert path.read_bytes() == b""
    assert side_files(path) == []


def test_an_earlier_format(path: Path) -> None:
    make_format_1(path)
    before = path.read_bytes()
    told = _refused(path)
    assert f"has mobstore format 1, and this mobstore reads format {FORMAT}" in told
    assert "open it once for writing to upgrade it" in told
    assert path.read_bytes() == before
    assert side_files(path) == []


def _state(path: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and times of a store's files, except the shared memory."""
    return {
        entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns)
        for entry in path.parent.iterdir()
        if not entry.name.endswith("-shm")
    }


READING = [
    ["info", "URL"],
    ["events", "URL", "--json"],
    ["verify", "URL"],
    ["diff", "URL", "URL"],
    ["export", "URL", "OUT"],
]


@pytest.mark.parametrize("left", ["nothing", "a log", "a journal", "format 1", "format 1, a log"])
def test_no_command_that_reads_rewrites_a_file(
    path: Path, tmp_path_factory: pytest.TempPathFactory, left: str
) -> None:
    if left.startswith("format 1"):
        make_format_1(path)
        with closing(plain(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    else:
        asyncio.run(_fill(path))
    if left not in {"nothing", "format 1"}:
        journal = "DELETE" if left == "a journal" else "WAL"
        with running(die_within_a_write, path, journal) as process:
            assert hear(process) == "ready"
            process.wait()
        assert f"mobs.db-{'journal' if left == 'a journal' else 'wal'}" in side_files(path)
    before = _state(path)
    names = {"URL": f"sqlite:{path}", "OUT": f"{tmp_path_factory.mktemp('out')}/out.zip"}
    for command in READING:
        result = CliRunner().invoke(cli, [names.get(word, word) for word in command])
        assert _state(path) == before, command
        if left == "a journal":
            assert "left in the middle of a write; open it once for writing" in result.output
        elif left.startswith("format 1"):
            assert "open it once for writing to upgrade it" in result.output
        else:
            assert result.exit_code == 0, result.output


def test_the_log_of_a_killed_process_is_read_and_stays(path: Path) -> None:
    with running(die_with_a_log_of_ours, path) as process:
        assert hear(process) == "ready"
        process.wait()
    before = _state(path)
    assert asyncio.run(_tags(path)) == ["in the log"]
    assert _state(path) == before
    asyncio.run(_fill(path))
    assert asyncio.run(_tags(path)) == ["in the log", "e"]
    assert side_files(path) == []


def test_an_interrupted_write_is_rolled_back(path: Path) -> None:
    """The advice in the message works."""
    asyncio.run(_fill(path))
    with running(die_within_a_write, path, "DELETE") as process:
        assert hear(process) == "ready"
        process.wait()

    async def main() -> None:
        with pytest.raises(ReadFailedError, match="left in the middle of a write"):
            await open_stores(f"sqlite:{path}", read_only=True)
        async with open_stores(f"sqlite:{path}"):
            pass

    asyncio.run(main())
    assert asyncio.run(_tags(path)) == ["e"]


# Media that cannot be written ------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that can be remounted read-only."""
    if os.getuid() != 0:
        pytest.skip("needs root: only root can mount a file system")
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this root may not mount: {mounted.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def _make_read_only(directory: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)


def test_a_read_only_medium(disk: Path) -> None:
    path = disk / "mobs.db"
    asyncio.run(_fill(path))
    before = path.read_bytes()
    _make_read_only(disk)
    assert asyncio.run(_tags(path)) == ["e"]
    assert path.read_bytes() == before
    assert side_files(path) == []


def test_a_read_only_medium_with_a_log(disk: Path) -> None:
    """SQLite cannot read a log without its shared memory; the log must not be ignored."""
    path = disk / "mobs.db"
    with running(die_with_a_log_of_ours, path) as process:
        assert hear(process) == "ready"
        process.wait()
    (disk / "mobs.db-shm").unlink()
    _make_read_only(disk)
    told = _refused(path)
    assert "has a log, which cannot be read on a read-only medium" in told
    assert "mobs.db-wal to a writable place" in told


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that any user may enter, unlike those of pytest."""
    if os.getuid() != 0:
        pytest.skip("needs root: only root can become another user")
    directory = Path(tempfile.mkdtemp(prefix="mobstore-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def _as_nobody(path: Path) -> list[str]:
    found: list[str] = json.loads(output(read_as_nobody, path))
    return found


@pytest.mark.parametrize("file_mode", [0o444, 0o666])
@pytest.mark.parametrize("directory_mode", [0o555, 0o777])
def test_without_the_right_to_write(public: Path, file_mode: int, directory_mode: int) -> None:
    path = public / "mobs.db"
    asyncio.run(_fill(path))
    path.chmod(file_mode)
    public.chmod(directory_mode)
    assert _as_nobody(path) == ["e"]
    assert side_files(path) == []


def test_without_the_right_to_write_while_another_user_writes(public: Path) -> None:
    path = public / "mobs.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("in the log"))
            assert await asyncio.to_thread(_as_nobody, path) == ["e", "in the log"]
            await stores.events.append(tagged_event("f"))

    asyncio.run(_fill(path))
    path.chmod(0o644)
    asyncio.run(main())
    assert _as_nobody(path) == ["e", "in the log", "f"]
    assert side_files(path) == []


def test_another_user_begins_to_write(public: Path) -> None:
    """A file that is read without a lock must not be written; the next read raises."""
    path = public / "mobs.db"
    asyncio.run(_fill(path))
    path.chmod(0o644)

    async def append() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("f"))

    with running(read_as_nobody, path, "twice") as reader:
        assert hear(reader) == json.dumps(["e"])
        asyncio.run(append())
        tell(reader)
        told = hear(reader)
    assert "was written, removed or replaced while it was open for reading" in told
