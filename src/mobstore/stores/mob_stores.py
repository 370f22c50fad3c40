"""The four stores on one engine, and opening them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from uuid import UUID, uuid4

from mobstore.codec.arguments import check_flags, describe
from mobstore.codec.claims import check_claim
from mobstore.codec.runs import run_key
from mobstore.errors import SerializationError, UsageError
from mobstore.model.claim import Claim
from mobstore.model.display import Displayed
from mobstore.model.overview import Overview
from mobstore.model.timestamp import Timestamp
from mobstore.operations import claims, endings
from mobstore.operations.identity import identify, identity, parse_identity
from mobstore.operations.overview import count_all
from mobstore.scripts.atomic import Outcome, Work, atomic_script
from mobstore.scripts.transaction import Durability, Engine, Script, require_outside_atomic
from mobstore.stores.base import Clock, NotPicklable, read_clock
from mobstore.stores.claims import ClaimStore
from mobstore.stores.events import MobEventStore
from mobstore.stores.keeping import Releases
from mobstore.stores.loop_guard import without_event_loop
from mobstore.stores.realm_profiles import RealmProfileStore
from mobstore.stores.runs import MobRunStore
from mobstore.stores.specs import MobSpecStore
from mobstore.stores.won import AtomicWon_co

_LONGEST_TIMEOUT = 10**6  # seconds, above which drivers overflow

S = TypeVar("S", bound="Closable")
T = TypeVar("T")


class Closable(NotPicklable):
    """An owner of an engine; close it, or use it in `async with`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def close(self) -> None:
        """Finish pending writes, end long reads, and release everything; may be called twice.

        Raises:
            UsageError: called within an atomic call.
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


class Opening(Generic[S]):
    """An opening store: `await` it, or use it in `async with`, which also closes it."""

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


class Stores(Generic[AtomicWon_co]):
    """The stores without access to the engine, as passed to an atomic call's function.

    For type checkers, a compare-and-swap of these runs returns only True. A function that takes
    the stores outside of atomic calls, too, has a parameter of the type `Stores[bool]`.
    """

    def __init__(self, engine: Engine, clock: Clock, of: Engine | None = None) -> None:
        """Put the stores on an engine; in an atomic call, `of` is the engine that runs the call."""
        self._of = of or engine
        self.events: MobEventStore = MobEventStore(engine, clock)
        self.runs: MobRunStore[AtomicWon_co] = MobRunStore(engine, clock)
        self.specs: MobSpecStore = MobSpecStore(engine, clock)
        self.realm_profiles: RealmProfileStore = RealmProfileStore(engine, clock)
        self.claims: ClaimStore = ClaimStore(engine, clock)

    def event_store(self) -> MobEventStore:
        """Return `events`, under the reference's name."""
        return self.events

    def run_store(self) -> MobRunStore[AtomicWon_co]:
        """Return `runs`, under the reference's name."""
        return self.runs

    def spec_store(self) -> MobSpecStore:
        """Return `specs`, under the reference's name."""
        return self.specs

    def realm_profile_store(self) -> RealmProfileStore:
        """Return `realm_profiles`, under the reference's name."""
        return self.realm_profiles


class MobStores(Displayed, Stores[bool], Closable):
    """The four stores on one engine; close it, or use it in `async with`."""

    def __init__(self, engine: Engine, *, clock: Clock = Timestamp.now) -> None:
        """Put the stores on an engine.

        Args:
            engine: the engine; closed with this object.
            clock: returns the current time; for tests.
        """
        Closable.__init__(self, engine)
        super().__init__(engine, clock)
        if clock != Timestamp.now:
            engine.use_clock(lambda: read_clock(clock).sortable)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._engine!r}>"

    async def identity(self) -> UUID:
        """Return the store's UUID; a cursor is valid only in the store that assigned it.

        The UUID is created with the store and moves with its data: a copy, or a store made by
        importing an export, has the UUID of its source. An erased store gets a new one.

        Raises:
            SerializationError: the stored value is not a UUID.

        Contract: stores.identity, stores.identity.moves, durable.reopen.identity.
        """
        found = await self._engine.read(identity)
        if found is None:  # an engine that does not create one with the store
            found = await self._engine.write(partial(identify, str(uuid4())))
        if (known := parse_identity(found)) is None:
            raise SerializationError(
                "table meta, key identity: not a UUID; mobstore verify URL --repair assigns a new"
                " one"
            )
        return known

    async def overview(self) -> Overview:
        """Count the contents of the stores, by mob.

        Events and runs of mobs with a spec are counted by an index. Mobs without a spec are found
        by scanning.
        """
        return await self._engine.read(count_all)

    async def atomic(
        self,
        work: Work[Stores, T],
        *,
        claim: Claim | None = None,
        unless_ended: UUID | str | None = None,
    ) -> T:
        """Run several operations, on any of the stores, in one commit, all or none.

        A compare-and-swap that would return False raises `RefusedError` instead. If the function
        raises, all its operations are rolled back; an error that it catches rolls back only the
        operation that raised it. Each operation sees the changes of those before it.

            async def complete(at: Stores) -> None:
                await at.runs.cas_run_status(run_id, expected="running", next="completed")
                await at.events.append(event)

            await stores.atomic(complete)

        Args:
            work: an async function that awaits only operations on the stores passed to it. It
                runs on the writing thread, while no other writer can write, and perhaps more than
                once. It should be quick and change nothing else.
            claim: a claim that must still be its holder's when all this is committed.
            unless_ended: a run that must not have ended, in the state before the call. Some
                operations succeed on a run that was canceled meanwhile; this rejects them.

        Returns:
            The function's result, once its writes are as durable as the engine promises.

        Raises:
            ClaimLostError: the claim is not its holder's any more.
            RunEndedError: the run `unless_ended` is completed, failed or canceled.
            NotFoundError: the run `unless_ended` does not exist.
            RefusedError: a comparison failed; the error names the operation, the run and why.
            UsageError: the function awaits something else, needs an event loop, or is not async;
                or it, or a task it started, uses other stores than those passed to it.
            Exception: any error of the function.
            WriteFailedError: the medium failed.

        Contract: atomic.all, atomic.none, atomic.refused, atomic.refused.method,
        atomic.unless-ended, atomic.sees-itself, atomic.awaits, atomic.event-loop,
        atomic.own-stores, atomic.context, callers.atomic.
        """
        context = copy_context()
        held = None if claim is None else check_claim(claim)
        going = None if unless_ended is None else run_key(unless_ended)

        def guards() -> Iterator[Script[None]]:
            if held is not None:
                yield claims.hold(held)
            if going is not None:
                yield endings.require_not_ended(going)

        def script() -> Script[Outcome[T]]:
            releases.take_back()  # those of an attempt before
            return atomic_script(
                work,
                lambda engine: Stores(engine, self._clock, self._engine),
                context,
                without_event_loop,
                guards(),
            )

        with Releases(self._engine) as releases:
            releases.enter(context)
            return (await self._engine.write(script)).get()

    async def compact(self) -> None:
        """Reclaim the space of deleted rows.

        SQLite rewrites its file, PostgreSQL runs VACUUM, other engines do nothing.

        Raises:
            WriteFailedError: no space for a second copy, or another process uses the file all the
                time; nothing was lost.
        """
        await self._engine.compact()

    @property
    def engine(self) -> Engine:
        """The engine, for tools with scripts of their own."""
        return self._engine


def check_stores(stores: object, what: str = "stores") -> None:
    """Check that a value is an open store.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(stores, MobStores):
        raise UsageError(
            f"{what} must be an open store, such as `await open_stores(url)` returns, not"
            f" {describe(stores)}"
        )


def check_options(durability: Durability, timeout: float, **flags: bool) -> None:
    """Check the options of opening.

    Args:
        durability: see `open_stores`.
        timeout: see `open_stores`.
        flags: options that are True or False, by their names.

    Raises:
        UsageError: an option has another type or value.
    """
    if type(timeout) not in {int, float} or not 0 <= timeout <= _LONGEST_TIMEOUT:
        raise UsageError(f"timeout is a number of seconds, 0 or more, not {describe(timeout)}")
    if not (isinstance(durability, str) and durability in {"full", "normal"}):
        raise UsageError("durability is 'full' or 'normal'")
    check_flags(**flags)
