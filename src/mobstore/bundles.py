"""Four stores on one engine, and how to open them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from mobstore.engines.memory import MemoryEngine
from mobstore.errors import InternalError
from mobstore.interfaces import MobEventStore, MobRunStore, MobSpecStore, RealmProfileStore
from mobstore.model.timestamp import Timestamp
from mobstore.stores import (
    Clock,
    EngineEventStore,
    EngineRealmProfileStore,
    EngineRunStore,
    EngineSpecStore,
)
from mobstore.transaction import Engine

if TYPE_CHECKING:
    from mobstore.engines.sqlite import Durability

S = TypeVar("S", bound="_Closable")


class _Closable:
    """Something that holds an engine; close it, or use it in `async with`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def close(self) -> None:
        """Wait for what is under way, then let go of the engine; closing twice is fine."""
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


class Opening(Generic[S]):
    """A store about to be opened: `await` it, or use it in `async with`, which closes it too."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, S]]) -> None:
        self._start = start
        self._opened: S | None = None

    def __await__(self) -> Generator[Any, Any, S]:
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


class MobStores(_Closable):
    """The four stores on one engine; close it, or use it in `async with`."""

    def __init__(self, engine: Engine, *, clock: Clock = Timestamp.now) -> None:
        """Put the stores on an engine.

        Args:
            engine: where rows are kept; closed with this object.
            clock: gives the store's times; for tests.
        """
        super().__init__(engine)
        self.events: MobEventStore = EngineEventStore(engine, clock)
        self.runs: MobRunStore = EngineRunStore(engine, clock)
        self.specs: MobSpecStore = EngineSpecStore(engine, clock)
        self.realm_profiles: RealmProfileStore = EngineRealmProfileStore(engine, clock)

    @property
    def engine(self) -> Engine:
        """What runs the scripts: for tools that bring scripts of their own."""
        return self._engine

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


class InMemoryMobEventStore(EngineEventStore):
    """An event log in memory, with data of its own."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryMobRunStore(EngineRunStore):
    """A run store in memory, with data of its own."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryMobSpecStore(EngineSpecStore):
    """A spec store in memory, with data of its own."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class InMemoryRealmProfileStore(EngineRealmProfileStore):
    """A realm profile store in memory, with data of its own."""

    def __init__(self, *, clock: Clock = Timestamp.now) -> None:
        super().__init__(MemoryEngine(), clock)


class SqliteMobStores(MobStores):
    """The four stores in one SQLite file; `open` makes them."""

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        create: bool = True,
        durability: Durability = "full",
        timeout: float = 5.0,
        clock: Clock = Timestamp.now,
    ) -> Opening[Self]:
        """Open a SQLite file, or create it; to be awaited, or used in `async with`.

        Args:
            path: the file; its directory must exist.
            create: whether to create the file if it is missing.
            durability: "full": a write that returned survives a power failure. "normal": it
                survives the death of the process; a power failure may undo the last ones.
            timeout: seconds to wait for other processes that hold the file's lock.
            clock: gives the store's times; for tests.

        Raises:
            ReadFailedError: the file cannot be opened, is no mobstore file, or is of a newer
                format; it was not changed.
            WriteFailedError: the file cannot be written, or stays locked.
        """

        async def start() -> Self:
            return cls(await _sqlite_engine(path, durability, timeout, create=create), clock=clock)

        return Opening(start)


class SqliteRealmProfileStore(EngineRealmProfileStore, _Closable):
    """The realm profiles of a SQLite file alone; `open` makes it."""

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        create: bool = True,
        durability: Durability = "full",
        timeout: float = 5.0,
        clock: Clock = Timestamp.now,
    ) -> Opening[Self]:
        """Open a SQLite file, or create it; as `SqliteMobStores.open`."""

        async def start() -> Self:
            return cls(await _sqlite_engine(path, durability, timeout, create=create), clock)

        return Opening(start)


def open_stores(
    url: str,
    *,
    create: bool = True,
    durability: Durability = "full",
    timeout: float = 5.0,
    clock: Clock = Timestamp.now,
) -> Opening[MobStores]:
    """Open stores by URL; to be awaited, or used in `async with`.

    Args:
        url: `memory:` for stores that live in this process and end with it, or `sqlite:PATH` for
            a file. The path is taken as it stands: relative to the working directory unless it
            begins with a slash; nothing in it is escaped.
        create: see `SqliteMobStores.open`; a store in memory is always new.
        durability: see `SqliteMobStores.open`; memory has none.
        timeout: see `SqliteMobStores.open`; memory never waits.
        clock: gives the store's times; for tests.

    Raises:
        InternalError: no engine has this URL.
        ReadFailedError: what the URL names cannot be opened.
        WriteFailedError: what the URL names cannot be written.
    """
    scheme, colon, rest = url.partition(":")

    async def start() -> MobStores:
        if colon and scheme == "memory":
            if rest:
                raise InternalError("memory: takes no name; every opening has data of its own")
            return MobStores(MemoryEngine(), clock=clock)
        if colon and scheme == "sqlite":
            return MobStores(
                await _sqlite_engine(rest, durability, timeout, create=create), clock=clock
            )
        raise InternalError(f"no engine for '{scheme}:'; use memory: or sqlite:PATH")

    return Opening(start)


async def _sqlite_engine(
    path: str | PathLike[str], durability: Durability, timeout: float, *, create: bool
) -> Engine:
    # Imported here: a page that runs Pyodide has no use for it.
    from mobstore.engines.sqlite import SqliteEngine

    text = fspath(path)
    if "\0" in text:
        raise InternalError("a path holds no NUL")
    if not text:
        raise InternalError("sqlite: needs a path, such as sqlite:mobs.db")
    if text == ":memory:":
        raise InternalError("sqlite: needs a file; for stores in memory use memory:")
    if not 0 <= timeout < float("inf"):
        raise InternalError("timeout is a number of seconds, 0 or more")
    if durability not in {"full", "normal"}:
        raise InternalError("durability is 'full' or 'normal'")
    return await SqliteEngine.open(
        Path(text), durability=durability, timeout=timeout, create=create
    )
