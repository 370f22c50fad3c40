"""Only SQLite opens a store's file: any other access drops this process's locks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner

import mobstore
from engines.children import append_some, open_only
from engines.support import hear, output, query, running, side_files, tell
from mobstore import MobStores, ReadFailedError, open_stores
from mobstore.cli.commands import cli
from mobstore.engines.sqlite.file import is_database
from mobstore.maintenance.transfer import export_stores
from mobstore.meerkat import export_meerkat, import_meerkat
from mobstore.meerkat.database import check_source
from mobstore.scripts.tables import FORMAT
from mobstore.testing.samples import tag_of, tagged_event


def locks(path: Path) -> list[str]:
    """Return the locks that this process holds on a store's files, as the system reports them."""
    files = {f":{Path(f'{path}{suffix}').stat().st_ino}" for suffix in ("", "-wal", "-shm")}
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [
        " ".join(line[1:])
        for line in lines
        if f"{os.getpid()}" in line
        and any(f"{word}".endswith(file) for word in line for file in files)
    ]


async def _open_again(path: Path, _: MobStores) -> None:
    async with open_stores(f"sqlite:{path}"):
        pass


async def _open_without_creating(path: Path, _: MobStores) -> None:
    async with open_stores(f"sqlite:{path}", create=False) as stores:
        await stores.events.replay_all()


async def _open_to_read(path: Path, _: MobStores) -> None:
    async with open_stores(f"sqlite:{path}", read_only=True) as stores:
        await stores.events.replay_all()


async def _open_by_a_link(path: Path, _: MobStores) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    async with open_stores(f"sqlite:{link}") as stores:
        await stores.events.replay_all()


async def _fail_to_open(path: Path, _: MobStores) -> None:
    query(path, "PRAGMA user_version = 99")
    with pytest.raises(ReadFailedError, match="update it"):
        await open_stores(f"sqlite:{path}")
    query(path, f"PRAGMA user_version = {FORMAT}")


async def _compact(_: Path, stores: MobStores) -> None:
    await stores.compact()


async def _verify(_: Path, stores: MobStores) -> None:
    assert not (await mobstore.verify(stores)).problems


async def _follow(_: Path, stores: MobStores) -> None:
    async for _one in stores.events.subscribe():
        break


async def _import(path: Path, _: MobStores) -> None:
    async with open_stores("memory:") as other:
        for look in (is_database, check_source):
            with suppress(ReadFailedError):
                look(path)
        with pytest.raises(ReadFailedError, match="is a store of mobstore"):
            await import_meerkat(path, other)


async def _export(path: Path, stores: MobStores) -> None:
    await export_meerkat(stores, path.with_name("out.db"))
    await export_stores(stores, BytesIO())
    async with open_stores("memory:") as other:
        await mobstore.copy(stores, other)


def _command(*arguments: str) -> Callable[[Path, MobStores], Awaitable[None]]:
    async def run(path: Path, _: MobStores) -> None:
        named = [argument.format(path=path) for argument in arguments]
        ended = await asyncio.to_thread(CliRunner().invoke, cli, named)
        assert not ended.exception or isinstance(ended.exception, SystemExit), ended.output

    return run


WAYS = {
    "open again": _open_again,
    "open without creating": _open_without_creating,
    "open to read": _open_to_read,
    "open by a link": _open_by_a_link,
    "fail to open": _fail_to_open,
    "compact": _compact,
    "verify": _verify,
    "follow": _follow,
    "import": _import,
    "export": _export,
    "mobstore info": _command("info", "sqlite:{path}"),
    "mobstore events": _command("events", "sqlite:{path}"),
    "mobstore verify": _command("verify", "sqlite:{path}"),
    "mobstore import": _command("import", "{path}", "memory:"),
    "mobstore diff": _command("diff", "sqlite:{path}", "{path}"),
    "mobstore export": _command("export", "sqlite:{path}", "{path}.zip"),
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system does not tell its locks")
@pytest.mark.parametrize("way", WAYS)
def test_the_locks_stay(tmp_path: Path, way: str) -> None:
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("e"))
            await stores.events.poll(0, 10)
            held = locks(path)
            assert held
            await WAYS[way](path, stores)
            assert set(held) <= set(locks(path))
            await stores.events.append(tagged_event("f"))

    asyncio.run(main())


def test_the_log_of_an_open_store_stays(tmp_path: Path) -> None:
    """Another process that closes the file is not its last user."""
    path = tmp_path / "mobs.db"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            async with open_stores(f"sqlite:{path}"):
                pass
            assert await asyncio.to_thread(output, open_only, path) == "opened\n"
            assert side_files(path) == ["mobs.db-shm", "mobs.db-wal"]
            acknowledged = [await stores.events.append(tagged_event("ours"))]
            with running(append_some, path, "theirs", 1) as other:
                assert hear(other) == "ready"
                tell(other)
                other.wait()
            acknowledged.append(await stores.events.append(tagged_event("ours too")))
            assert [one.cursor for one in acknowledged] == [1, 3]

    async def stored() -> list[str]:
        async with open_stores(f"sqlite:{path}") as stores:
            return [tag_of(one.kind) for one in await stores.events.replay_all()]

    asyncio.run(main())
    assert asyncio.run(stored()) == ["ours", "theirs-0", "ours too"]
