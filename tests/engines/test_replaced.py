"""Files replaced under an open store, revisions used up, models changed without validation."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

import mobstore
from mobstore import FlowId, KernelState, MobId, MobReset, MobRun, NewMobEvent
from mobstore.scripts.tables import REALM_PROFILES, SPECS, RealmProfileRow, SpecRow
from mobstore.scripts.transaction import Commit, Put, Script

pytestmark = pytest.mark.usefixtures("both_threads")

EVENT = NewMobEvent(mob_id=MobId("m"), kind=MobReset())


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'mobs.db'}"


def test_another_file_in_its_place_is_never_read(tmp_path: Path) -> None:
    path, other = tmp_path / "mobs.db", tmp_path / "other.db"

    async def main() -> None:
        async with mobstore.open_stores(f"sqlite:{other}") as stores:
            await stores.events.append_batch([EVENT] * 3)
        async with mobstore.open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(EVENT)  # no reader is open yet
            shutil.copy(other, tmp_path / "copy.db")
            (tmp_path / "copy.db").replace(path)
            for _ in range(3):
                with pytest.raises(mobstore.ReadFailedError, match="removed or replaced"):
                    await stores.events.poll(0, 10)
                with pytest.raises(mobstore.WriteFailedError, match="removed or replaced"):
                    await stores.events.append(EVENT)

    asyncio.run(main())


def test_revisions_that_are_used_up(url: str) -> None:
    last = 2**63 - 1
    moment = mobstore.Timestamp.now().sortable

    def fill() -> Script[None]:
        yield ()
        definition = mobstore.MobDefinition(id=MobId("m")).to_json()
        profile = mobstore.Profile(model="m").to_json()
        return Commit(
            None,
            (
                Put(SPECS, (SpecRow("m", last, definition),)),
                Put(REALM_PROFILES, (RealmProfileRow("p", last, profile, moment, moment),)),
            ),
        )

    async def main() -> None:
        async with mobstore.open_stores(url) as stores:
            await stores.engine.write(fill)
            with pytest.raises(mobstore.InternalError, match="used up"):
                await stores.specs.put_spec("m", mobstore.MobDefinition(id=MobId("m")))
            with pytest.raises(mobstore.InternalError, match="used up"):
                await stores.realm_profiles.update("p", mobstore.Profile(model="n"), last)
            spec, profile = await stores.specs.get_spec("m"), await stores.realm_profiles.get("p")
            assert (spec and spec[1], profile and profile.revision) == (last, last)

    asyncio.run(main())


@pytest.mark.parametrize(
    "change",
    [
        {"status": "bogus"},
        {"created_at": "2026-03-04T05:06:07Z"},
        {"completed_at": 5},
        {"schema_version": 2**70},
        {"schema_version": -1},
        {"mob_id": 5},
    ],
)
def test_models_changed_without_a_check_are_checked(url: str, change: dict[str, Any]) -> None:
    run = MobRun.pending(MobId("m"), FlowId("f"), KernelState("P")).model_copy(update=change)

    async def main() -> None:
        async with mobstore.open_stores(url) as stores:
            with pytest.raises(mobstore.MobStoreError):
                await stores.runs.create_run(run)
            assert await stores.runs.get_run(run.run_id) is None

    asyncio.run(main())


def test_text_of_a_subclass_becomes_plain_text(url: str) -> None:
    class Name(str):
        __slots__ = ("owner",)

    async def main() -> None:
        async with mobstore.open_stores(url) as stores:
            await stores.realm_profiles.create(Name("p"), mobstore.Profile(model="m"))
            (stored,) = await stores.realm_profiles.list()
            assert type(stored.name) is str

    asyncio.run(main())


@pytest.mark.slow
def test_closing_and_reading_do_not_cancel_each_other(tmp_path: Path) -> None:
    async def main() -> None:
        stores = await mobstore.open_stores(f"sqlite:{tmp_path / 'mobs.db'}")
        await stores.events.append_batch([EVENT] * 500)  # closing waits two seconds for them
        reads = [asyncio.create_task(stores.events.replay_all()) for _ in range(6)]
        await asyncio.sleep(0)
        reads[-1].cancel()
        closing = asyncio.create_task(stores.close())
        await asyncio.sleep(0)
        closing.cancel()
        found = await asyncio.gather(*reads[:5])
        assert [len(events) for events in found] == [500] * 5
        await asyncio.gather(reads[5], closing, return_exceptions=True)
        await stores.close()

    asyncio.run(main())
