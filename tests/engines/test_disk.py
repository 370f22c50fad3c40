"""A full disk, and a disk with other content than was written."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engines.children import (
    damage,
    describe,
    die_with_a_log_of_ours,
    use,
    use_once,
    write_beyond_a_limit,
)
from engines.support import (
    NOON,
    RUN,
    new_run,
    no_store_threads,
    output,
    query,
    rich_run,
    running,
)
from mobstore import FrameId, MobStoreError, SerializationError, WriteFailedError, open_stores
from mobstore.testing.samples import (
    definition,
    frame,
    number_of,
    profile,
    state,
    tag_of,
    tagged_event,
)

pytestmark = pytest.mark.usefixtures("both_threads")

SENSIBLE = {"ReadFailedError", "WriteFailedError", "SerializationError", "NotFoundError"}


async def _fill(path: Path) -> None:
    """Create a store of a few dozen pages with rows in every table."""
    # The clock is fixed, so that the same flips hit the same content in every run.
    async with open_stores(f"sqlite:{path}", clock=lambda: NOON) as stores:
        await stores.runs.create_run(rich_run())
        await stores.events.append_batch([tagged_event(f"{n}", "x" * 100) for n in range(300)])
        await stores.specs.put_spec("mob", definition())
        await stores.realm_profiles.create("worker", profile())


# Full ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("limit", [500_000, 1_000_003])
def test_files_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "mobs.db"
    told = json.loads(output(write_beyond_a_limit, path, limit))
    for kind, text, retry_safe, maybe_written, cause in told["errors"]:
        assert kind == "WriteFailedError"
        assert "the disk failed" in text or "no space left" in text
        assert str(path) in text
        assert not (retry_safe and maybe_written), "not safe to repeat what may have been done"
        assert cause == "sqlite3"
    events = _whole_batches(path, size=5)
    doubtful = sum(1 for error in told["errors"] if error[3])
    assert told["acknowledged"] + 1 <= events <= told["acknowledged"] + 1 + doubtful
    assert told["seen"] % 5 == 0
    assert told["acknowledged"] > 0


def _whole_batches(path: Path, size: int) -> int:
    """Check that no batch is stored in part, and return the number of batches."""
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    ((count, last),) = query(path, "SELECT count(*), coalesce(max(cursor), 0) FROM events")
    assert count == last
    if count:
        assert query(path, "SELECT value FROM counters WHERE name = 'next_cursor'") == [(last + 1,)]

    async def tags() -> list[str]:
        async with open_stores(f"sqlite:{path}") as stores:
            return [tag_of(one.kind) for one in await stores.events.replay_all()]

    places = [int(tag.partition(":")[2]) for tag in asyncio.run(tags())]
    assert places == list(range(size)) * (count // size)
    return int(count) // size


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.getuid() != 0:
        pytest.skip("needs root: only root can mount a small file system")
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"this root may not mount: {mounted.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def test_full_disk(small_disk: Path) -> None:
    path = small_disk / "mobs.db"
    ballast = small_disk / "ballast"
    padding = "x" * 3000

    async def main() -> int:
        acknowledged = 0
        refused: list[BaseException] = []
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.runs.create_run(new_run(frames={FrameId("f"): frame(0)}))
            ballast.write_bytes(bytes(400_000))
            while len(refused) < 30:
                for result in await asyncio.gather(
                    *(
                        stores.events.append_batch(
                            [tagged_event(f"{n}:{i}", padding) for i in range(5)]
                        )
                        for n in range(4)
                    ),
                    return_exceptions=True,
                ):
                    if isinstance(result, BaseException):
                        refused.append(result)
                    else:
                        acknowledged += 1
            for error in refused:
                assert isinstance(error, WriteFailedError)
                assert "no space left to write" in str(error)
                assert "free some disk space" in str(error)
                assert error.retry_safe
                assert not error.maybe_written
                assert error.__cause__ is not None
            # Reads continue, and return nothing of the failed writes.
            assert len(await stores.events.replay_all()) == 5 * acknowledged
            big = state(1, "x" * 500_000)
            with pytest.raises(WriteFailedError):
                await stores.runs.cas_grant_node_slot(
                    RUN,
                    expected_run_state=state(0),
                    next_run_state=big,
                    frame_id="f",
                    expected_frame=frame(0),
                    next_frame=frame(1),
                )
            run = await stores.runs.get_run(RUN)
            assert run is not None
            assert number_of(run.flow_state) == 0
            assert number_of(run.frames[FrameId("f")].kernel_state) == 0

            ballast.unlink()
            await stores.events.append_batch(
                [tagged_event(f"after:{i}", padding) for i in range(5)]
            )
            return acknowledged + 1

    acknowledged = asyncio.run(main())
    assert acknowledged > 1
    assert _whole_batches(path, size=5) == acknowledged


def test_opening_on_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "mobs.db"
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

    async def main() -> None:
        with pytest.raises(WriteFailedError) as caught:
            await open_stores(f"sqlite:{path}")
        assert "no space left" in str(caught.value) or "the disk failed" in str(caught.value)
        assert not caught.value.maybe_written
        ballast.unlink()
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))

    asyncio.run(main())


def test_a_disk_too_full_for_the_shared_memory(small_disk: Path) -> None:
    """A process was killed, and only the file and its log remain."""
    path = small_disk / "mobs.db"
    with running(die_with_a_log_of_ours, path) as process:
        process.wait(30)
    path.with_name("mobs.db-shm").unlink()
    ballast = small_disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))

    async def main() -> None:
        with pytest.raises(WriteFailedError, match="no space left to write") as caught:
            await open_stores(f"sqlite:{path}")
        assert caught.value.retry_safe
        ballast.unlink()
        async with open_stores(f"sqlite:{path}") as stores:
            assert len(await stores.events.poll()) == 1

    asyncio.run(main())


# Damaged ---------------------------------------------------------------------------------------


def _assert_sensible(errors: list[list[Any]]) -> None:
    strange = [
        error
        for error in errors
        if error[-2] not in SENSIBLE | {"CasConflictError", "InternalError"}
        or "fault of mobstore" in error[-1]
    ]
    assert not strange, f"{len(strange)} of {len(errors)}, such as {strange[:5]}"


@pytest.mark.parametrize("part", [0.5, 0.9, 0.1])
def test_truncated(tmp_path: Path, part: float) -> None:
    path = tmp_path / "mobs.db"
    asyncio.run(_fill(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])

    async def main() -> None:
        async with open_stores(f"sqlite:{path}", timeout=1) as stores:
            # One of these calls must need the missing pages.
            await stores.events.replay_all()
            await stores.runs.get_run(RUN)
            await stores.events.prune(NOON)

    with pytest.raises(MobStoreError) as caught:
        asyncio.run(main())
    assert describe(caught.value)[0] in SENSIBLE
    assert "restore a backup" in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.slow
@pytest.mark.parametrize("places", ["header", "schema", "rest"])
def test_flipped_bits(tmp_path: Path, places: str) -> None:
    """A child process makes the calls, so that a crash or a hang fails the test as well.

    SQLite keeps no checksums, so content may be changed. Each call must return a value or raise a
    MobStoreError.
    """
    path = tmp_path / "mobs.db"
    asyncio.run(_fill(path))
    copies = tmp_path / "copies"
    copies.mkdir()
    errors = json.loads(output(damage, path, copies, places, 0, 60, seconds=60))
    assert errors, "no flip was noticed at all: is anything damaged?"
    _assert_sensible(errors)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damaging",
    [
        "UPDATE events SET kind = x'00ff' WHERE cursor = 3",
        "UPDATE events SET kind = 'no json' WHERE cursor = 3",
        "UPDATE events SET kind = 7 WHERE cursor = 3",
        "UPDATE events SET kind = CAST(x'ff' AS TEXT) WHERE cursor = 3",
        "UPDATE events SET mob_id = x'00ff' WHERE cursor = 3",
        "UPDATE events SET timestamp = 'yesterday' WHERE cursor = 3",
        "UPDATE events SET timestamp = x'00ff' WHERE cursor = 3",
        "UPDATE counters SET value = 'many'",
        "UPDATE counters SET value = x'00ff'",
        "UPDATE counters SET value = 1",
        "UPDATE step_ledger SET position = 'first' WHERE position = 19",
        "UPDATE step_ledger SET output = '{' WHERE position = 1",
        "UPDATE step_ledger SET timestamp = 5 WHERE position = 1",
        "UPDATE failure_ledger SET position = 'first' WHERE position = 4",
        "UPDATE loop_iterations SET iteration = 'x' WHERE position = 1",
        "UPDATE runs SET run_id = 5",
        "UPDATE runs SET run_id = 'no uuid'",
        "UPDATE runs SET activation_params = '['",
        "UPDATE runs SET schema_version = 'x'",
        "UPDATE run_states SET flow_state = x'00ff'",
        "UPDATE run_states SET flow_state = 'no json'",
        "UPDATE runs SET status = 'lost'",
        "UPDATE frames SET kernel_state = 3",
        "DELETE FROM run_states",
        "DELETE FROM loop_outputs",
        "UPDATE loop_outputs SET iterations = 'many'",
        "UPDATE loop_step_outputs SET iteration = -7 WHERE iteration = 2",
        "UPDATE loop_step_outputs SET position = 'x'",
        "UPDATE root_step_outputs SET position = 'x'",
        "UPDATE specs SET definition = 'x'",
        "UPDATE specs SET revision = 'x'",
        "UPDATE realm_profiles SET revision = 'x', name = 'new'",
        "UPDATE realm_profiles SET profile = '{}', name = 'new'",
        "UPDATE realm_profiles SET created_at = 5, name = 'new'",
        "DROP TABLE events",
        "ALTER TABLE events DROP COLUMN kind",
    ],
)
def test_content_that_we_did_not_write(tmp_path: Path, damaging: str) -> None:
    """A changed value has another type, or text that mobstore does not write."""
    path = tmp_path / "mobs.db"
    asyncio.run(_fill(path))
    query(path, damaging)
    _assert_sensible(asyncio.run(use(path)))


@pytest.mark.parametrize(
    ("damaging", "look"),
    [
        ("UPDATE events SET timestamp = x'00ff' WHERE cursor = 3", "events"),
        ("UPDATE run_states SET flow_state = x'00ff'", "runs"),
        ("UPDATE frames SET kernel_state = 3", "runs"),
        ("UPDATE runs SET created_at = x'00ff'", "runs"),
    ],
)
def test_what_was_read_can_be_looked_at(tmp_path: Path, damaging: str, look: str) -> None:
    """A column of another type raises a MobStoreError when it is read, or later."""
    path = tmp_path / "mobs.db"
    asyncio.run(_fill(path))
    query(path, damaging)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            if look == "events":
                for one in await stores.events.replay_all():
                    str(one.timestamp)
            else:
                run = await stores.runs.get_run(RUN)
                assert run is not None
                str(run.created_at)
                number_of(run.flow_state)
                for snapshot in run.frames.values():
                    number_of(snapshot.kernel_state)

    with pytest.raises(SerializationError):
        asyncio.run(main())


@pytest.mark.slow
def test_a_length_that_cannot_be(tmp_path: Path) -> None:
    """A corrupt number does not make a read fill the memory."""
    path = tmp_path / "mobs.db"
    asyncio.run(_fill(path))
    query(path, f"UPDATE loop_outputs SET iterations = {2**40}")
    errors = json.loads(output(use_once, path, 700_000_000, seconds=60))
    _assert_sensible(errors)
    assert any(kind == "SerializationError" for kind, _ in errors)


# Taken away ------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["file", "all files", "directory", "replaced by another"])
def test_taken_away_while_open(tmp_path: Path, what: str) -> None:
    """A removed file loses its data; but calls return or raise a MobStoreError, and it closes."""
    directory = tmp_path / "stores"
    directory.mkdir()
    path = directory / "mobs.db"

    async def main() -> list[BaseException]:
        async with open_stores(f"sqlite:{path}", timeout=0.5) as stores:
            await stores.events.append(tagged_event("e"))
            if what == "directory":
                shutil.rmtree(directory)
            elif what == "all files":
                for other in directory.iterdir():
                    other.unlink()
            elif what == "file":
                path.unlink()
            else:
                path.write_bytes(random.Random(1).randbytes(50_000))
            results: list[BaseException | object] = []
            for _ in range(3):
                results += await asyncio.gather(
                    stores.events.append(tagged_event("e")),
                    stores.events.poll(0, 10),
                    stores.events.replay_all(),
                    stores.runs.get_run(RUN),
                    stores.runs.create_run(new_run()),
                    return_exceptions=True,
                )
        return [result for result in results if isinstance(result, BaseException)]

    for error in asyncio.run(main()):
        assert isinstance(error, MobStoreError), repr(error)
        assert describe(error)[0] in SENSIBLE | {"InternalError"}  # "run already exists"
    assert no_store_threads()


def test_a_write_to_a_deleted_file_is_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            path.unlink()
            with pytest.raises(WriteFailedError):
                await stores.events.append(tagged_event("lost"))

    asyncio.run(main())
