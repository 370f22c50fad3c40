"""Four stores on one engine, and what is about to be opened."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any, Generic, NoReturn, Self, TypeVar
from uuid import UUID, uuid4

from mobstore.errors import SerializationError, UsageError
from mobstore.model.display import Displayed
from mobstore.model.overview import Overview
from mobstore.model.timestamp import Timestamp
from mobstore.operations.identity import identify, identity, parse_identity
from mobstore.operations.overview import count_all
from mobstore.scripts.atomic import Work, atomic_script
from mobstore.scripts.transaction import Durability, Engine, require_outside_atomic
from mobstore.stores.base import Clock
from mobstore.stores.events import MobEventStore
from mobstore.stores.loop_guard import without_event_loop
from mobstore.stores.realm_profiles import RealmProfileStore
from mobstore.stores.runs import MobRunStore
from mobstore.stores.specs import MobSpecStore

S = TypeVar("S", bound="Closable")
T = TypeVar("T")


class Closable:
    """Something that holds an engine; close it, or use it in `async with`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def close(self) -> None:
        """Wait for writes under way, end reads that last, let go of all; closing twice is fine.

        Raises:
            UsageError: called within an atomic call, for which it would have to wait.
        """
        require_outside_atomic()
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open store cannot be pickled or copied; pass its URL and open it there")


class Opening(Generic[S]):
    """A store about to be opened: `await` it, or use it in `async with`, which closes it too."""

    def __init__(self, start: Callable[[], Coroutine[object, None, S]]) -> None:
        self._start = start
        self._opened: S | None = None

    def __await__(self) -> Generator[Any, Any, S]:
        require_outside_atomic()
        return self._start().__await__()

    async def __aenter__(self) -> S:
        self._opened = await self
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            await self._opened.close()


class Stores:
    """The four stores, without the engine they are on: what an atomic call is given."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.events: MobEventStore = MobEventStore(engine, clock)
        self.runs: MobRunStore = MobRunStore(engine, clock)
        self.specs: MobSpecStore = MobSpecStore(engine, clock)
        self.realm_profiles: RealmProfileStore = RealmProfileStore(engine, clock)

    def event_store(self) -> MobEventStore:
        """`events`, under the reference's name."""
        return self.events

    def run_store(self) -> MobRunStore:
        """`runs`, under the reference's name."""
        return self.runs

    def spec_store(self) -> MobSpecStore:
        """`specs`, under the reference's name."""
        return self.specs

    def realm_profile_store(self) -> RealmProfileStore:
        """`realm_profiles`, under the reference's name."""
        return self.realm_profiles


class MobStores(Displayed, Stores, Closable):
    """The four stores on one engine; close it, or use it in `async with`."""

    def __init__(self, engine: Engine, *, clock: Clock = Timestamp.now) -> None:
        """Put the stores on an engine.

        Args:
            engine: where rows are kept; closed with this object.
            clock: gives the store's times; for tests.
        """
        Closable.__init__(self, engine)
        Stores.__init__(self, engine, clock)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._engine!r}>"

    async def identity(self) -> UUID:
        """What tells this store from every other one; a cursor means something in one store only.

        It is made with the store, and moves with what the store holds: a copy, or a store into
        which an export was imported, has that of its source. An erased store gets a new one.

        Raises:
            SerializationError: what is stored is no UUID.

        Contract: stores.identity, stores.identity.moves, durable.reopen.identity.
        """
        found = await self._engine.read(identity)
        if found is None:  # an engine that does not make one with the store
            found = await self._engine.write(partial(identify, str(uuid4())))
        if (known := parse_identity(found)) is None:
            raise SerializationError(
                "table meta, key identity: it is not a UUID; mobstore verify URL --repair gives"
                " the store a new one"
            )
        return known

    async def overview(self) -> Overview:
        """Count what the stores hold, by mob; events and runs of mobs with a spec by an index.

        Mobs without a spec have to be looked for among the rows.
        """
        return await self._engine.read(count_all)

    async def atomic(self, work: Work[Stores, T]) -> T:
        """Run several operations, on any of the stores, in one commit: all are kept, or none.

        A compare-and-swap that would return False raises `RefusedError` instead. Where the
        function raises, nothing of what it did is kept; an error that it catches undoes only the
        operation that raised it. Each operation sees what those before it did.

            async def complete(at: Stores) -> None:
                await at.runs.cas_run_status(run_id, expected="running", next="completed")
                await at.events.append(event)

            await stores.atomic(complete)

        Args:
            work: an async function that awaits nothing but operations on the stores it is given.
                It is run while nobody else can write, on the thread that writes, and perhaps
                more than once: it should be quick and change nothing else.

        Returns:
            What the function returns, when its writes are as durable as the engine promises.

        Raises:
            RefusedError: a comparison failed; it says in which operation.
            UsageError: the function awaits something else, needs an event loop, or is not
                async; or it, or a task that it started, uses other stores than it was given.
            Exception: whatever the function raises.
            WriteFailedError: the medium refused.

        Contract: atomic.all, atomic.none, atomic.refused, atomic.sees-itself, atomic.awaits,
        atomic.event-loop, atomic.own-stores, atomic.context, callers.atomic.
        """
        context = copy_context()
        outcome = await self._engine.write(
            lambda: atomic_script(
                work, lambda engine: Stores(engine, self._clock), context, without_event_loop
            )
        )
        return outcome.get()

    async def compact(self) -> None:
        """Give back the room of what was removed: SQLite rewrites its file, others need nothing.

        Raises:
            WriteFailedError: no room for a second copy, or another process uses the file all the
                time; nothing was lost.
        """
        await self._engine.compact()

    @property
    def engine(self) -> Engine:
        """What runs the scripts: for tools that bring scripts of their own."""
        return self._engine


def check_stores(stores: object, what: str = "stores") -> None:
    """Reject what is no open store.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(stores, MobStores):
        raise UsageError(
            f"{what} is a store that is open, such as `await open_stores(url)` gives, not"
            f" {_kind(stores)}"
        )


def check_options(durability: Durability, timeout: float, **flags: bool) -> None:
    """Reject options that no engine can be opened with.

    Args:
        durability: see `open_stores`.
        timeout: see `open_stores`.
        flags: options that are True or False, by their names.

    Raises:
        UsageError: an option is none of its values.
    """
    if type(timeout) not in {int, float} or not 0 <= timeout < float("inf"):
        raise UsageError(f"timeout is a number of seconds, 0 or more, not {_kind(timeout)}")
    if not (isinstance(durability, str) and durability in {"full", "normal"}):
        raise UsageError("durability is 'full' or 'normal'")
    check_flags(**flags)


def check_flags(**flags: bool) -> None:
    """Reject flags that are neither True nor False.

    Raises:
        UsageError: one is of another type.
    """
    for name, flag in flags.items():
        if type(flag) is not bool:
            raise UsageError(f"{name} is True or False, not {_kind(flag)}")


def _kind(value: object) -> str:
    if value is None or type(value) in {int, float}:
        return str(value)
    return type(value).__name__
