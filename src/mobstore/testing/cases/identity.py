"""Cases of a store's identity, by which a caller knows that a cursor belongs to this store."""

from __future__ import annotations

import asyncio
import io

from mobstore.engines.memory import MemoryEngine
from mobstore.errors import SerializationError
from mobstore.scripts.tables import IDENTITY, META, MetaRow
from mobstore.scripts.transaction import Delete, Put
from mobstore.stores.mob_stores import MobStores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event
from mobstore.testing.scripts import write_script
from mobstore.testing.subject import Subject


@case("stores.identity")
async def has_an_identity(subject: Subject) -> None:
    """A store has one identity, whichever caller reads it first; no other store has the same."""
    stores = await subject.open()
    first, *others = await asyncio.gather(*(stores.identity() for _ in range(5)))
    same(others, [first] * 4, "the identity that the others get")
    await stores.events.append(event())
    await stores.events.clear()
    same(await stores.identity(), first, "the identity after changes")
    same((await stores.overview()).identity, first, "the identity in the overview")
    async with MobStores(MemoryEngine()) as other:
        assert await other.identity() != first, "another store has another identity"


@case("durable.reopen.identity", needs=("durable",))
async def keeps_its_identity(subject: Subject) -> None:
    """The identity survives reopening."""
    first = await (await subject.open()).identity()
    same(await (await subject.reopen()).identity(), first, "the identity")


@case("shared.identity", needs=("shared",))
async def shares_its_identity(subject: Subject) -> None:
    """Two handles of one store that are open at the same time see one identity."""
    stores, other = await subject.open(), await subject.open_second()
    one, two = await asyncio.gather(stores.identity(), other.identity())
    same(one, two, "the identity")


@case("stores.identity.moves")
async def moves_its_identity(subject: Subject) -> None:
    """Copies and imports have the identity of their source."""
    # Imported here: mobstore.maintenance imports the stores.
    from mobstore.maintenance.transfer import copy, export_stores, import_stores

    stores = await subject.open()
    await stores.events.append(event())
    identity, file = await stores.identity(), io.BytesIO()
    await export_stores(stores, file)
    async with MobStores(MemoryEngine()) as other, MobStores(MemoryEngine()) as third:
        await copy(stores, other)
        same(await other.identity(), identity, "the identity of the copy")
        await import_stores(file, third)
        same(await third.identity(), identity, "the identity of the import")


@case("stores.identity.taken")
async def takes_an_identity(subject: Subject) -> None:
    """An empty store that receives a copy takes over its identity, too."""
    from mobstore.maintenance.transfer import copy

    stores = await subject.open()
    before = await stores.identity()
    async with MobStores(MemoryEngine()) as source:
        await source.events.append(event())
        await copy(source, stores)
        same(await stores.identity(), await source.identity(), "the identity")
    assert await stores.identity() != before, "it has another one than before"


@case("stores.identity.damaged")
async def repairs_its_identity(subject: Subject) -> None:
    """A missing or unreadable identity is reported, and a repair assigns a new one."""
    from mobstore.maintenance.verification import verify

    stores = await subject.open()
    first = await stores.identity()
    for damage in (Put(META, (MetaRow(IDENTITY, "no uuid"),)), Delete(META, (IDENTITY,))):
        await stores.engine.write(write_script(damage))
        same((await stores.overview()).identity, None, "the identity in the overview")
        if isinstance(damage, Put):
            await expect_error(SerializationError, stores.identity(), "an identity that is no UUID")
        (problem,) = (await verify(stores)).problems
        same((problem.table, problem.key), ("meta", (IDENTITY,)), "the problem")
        same((await verify(stores, repair=True)).left, (), "the problems left")
        same((await verify(stores)).problems, (), "the problems after the repair")
        assert await stores.identity() != first, "the identity is a new one"
