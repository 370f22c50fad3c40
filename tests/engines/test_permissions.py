"""Permissions of files and directories, and other users."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.attempts import assert_untouched, refused, usable
from engines.children import (
    as_nobody,
)
from engines.support import (
    output,
    side_files,
)
from mobstore import (
    WriteFailedError,
    open_stores,
)
from mobstore.testing.samples import tagged_event

WRITE_VERSION = 18  # its place in a database's header


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that any user may enter, unlike those of pytest."""
    if os.getuid() != 0:
        pytest.skip("needs root: only root can become another user")
    directory = Path(tempfile.mkdtemp(prefix="mobstore-test-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def modes(directory: Path) -> dict[str, int]:
    return {entry.name: entry.stat().st_mode & 0o777 for entry in directory.iterdir()}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o600), (0, 0o600), (0o277, 0o400)])
def test_a_new_store_belongs_to_its_owner_only(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            await stores.events.replay_all()
            assert modes(tmp_path) == dict.fromkeys(("mobs.db", "mobs.db-wal", "mobs.db-shm"), mode)

    before = os.umask(umask)
    try:
        asyncio.run(main())
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", ["empty", "a store"])
def test_an_existing_file_keeps_its_mode(tmp_path: Path, kind: str) -> None:
    """The owner has shared the file with a group."""
    path = tmp_path / "mobs.db"
    path.touch()
    if kind == "a store":
        usable(path)
    path.chmod(0o664)

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            assert set(modes(tmp_path).values()) == {0o664}
            await stores.compact()
        assert modes(tmp_path) == {"mobs.db": 0o664}

    asyncio.run(main())


def _opened_by_nobody(path: Path) -> tuple[str, str, bool]:
    kind, text, has_cause = json.loads(output(as_nobody, f"sqlite:{path}"))
    return kind, text, has_cause


def test_a_directory_that_anybody_may_write(public: Path) -> None:
    assert _opened_by_nobody(public / "mobs.db")[0] == "fine"


@pytest.mark.parametrize("empty", [True, False])
def test_read_only_file(public: Path, empty: bool) -> None:
    path = public / "mobs.db"
    if empty:
        path.touch()
    else:
        usable(path)
    path.chmod(0o444)
    before = path.read_bytes()
    kind, text, has_cause = _opened_by_nobody(path)
    assert kind == "WriteFailedError"
    assert "is read-only; make the file, its directory and its -wal and -shm files" in text
    assert has_cause
    assert path.read_bytes() == before


@pytest.mark.parametrize("exists", [True, False])
def test_read_only_directory(public: Path, exists: bool) -> None:
    path = public / "mobs.db"
    if exists:
        usable(path)
        path.chmod(0o666)
    public.chmod(0o555)
    kind, text, has_cause = _opened_by_nobody(path)
    assert kind == "WriteFailedError"
    assert "directory" in text
    assert has_cause
    assert side_files(path) == []


@pytest.mark.parametrize("what", ["file", "directory"])
def test_without_the_right_to_read(public: Path, what: str) -> None:
    path = public / "mobs.db"
    usable(path)
    (path if what == "file" else public).chmod(0)
    kind, text, has_cause = _opened_by_nobody(path)
    public.chmod(0o777)
    assert kind == "ReadFailedError"
    assert ("is not readable" if what == "file" else "cannot be opened") in text
    assert has_cause


def test_read_only_for_us_while_another_writes(public: Path) -> None:
    """Opening fails, because callers expect to write."""
    path = public / "mobs.db"

    def make_read_only() -> None:
        for entry in public.iterdir():
            entry.chmod(0o444)

    async def main() -> str:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            make_read_only()
            return await asyncio.to_thread(output, as_nobody, f"sqlite:{path}", "only open")

    kind, text, has_cause = json.loads(asyncio.run(main()))
    assert kind == "WriteFailedError"
    assert "is read-only" in text
    assert has_cause


def test_a_file_that_only_a_later_sqlite_can_write(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    usable(path)
    content = bytearray(path.read_bytes())
    content[WRITE_VERSION] = 3
    path.write_bytes(content)
    error = refused(f"sqlite:{path}")
    assert type(error) is WriteFailedError
    assert_untouched(path, bytes(content))
