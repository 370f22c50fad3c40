"""Stores in a PostgreSQL database, in a schema of their own."""

from __future__ import annotations

import sys
from typing import Self, get_args

from mobstore.engines.read_only import ReadOnlyEngine
from mobstore.errors import UsageError
from mobstore.model.text import bounded
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.transaction import Durability, Engine, Isolation
from mobstore.stores.base import Clock, check_clock
from mobstore.stores.events import MobEventStore
from mobstore.stores.mob_stores import Closable, MobStores, Opening, check_options
from mobstore.stores.postgres_urls import FORM, parameter_names
from mobstore.stores.realm_profiles import RealmProfileStore
from mobstore.stores.runs import MobRunStore
from mobstore.stores.specs import MobSpecStore
from mobstore.stores.urls import Place, parse_url


class PostgresMobStores(MobStores):
    """The four stores in one schema of a PostgreSQL database, opened by `open`."""

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = True,
        read_only: bool = False,
        durability: Durability = "full",
        isolation: Isolation | None = None,
        timeout: float = 5.0,
        clock: Clock = Timestamp.now,
    ) -> Opening[Self]:
        """Open a schema of a database, or create it; await the result, or use it in `async with`.

        Args:
            url: `postgresql://USER:PASSWORD@HOST:PORT/DBNAME?schema=NAME`. The schema is
                `mobstore` unless named. All else is libpq's, as in psql: several hosts,
                `target_session_attrs`, Unix sockets, services, environment variables, password
                files. Special characters are escaped, such as `@` in a password as `%40`.
            create: whether to create the schema if it is missing; the database must exist.
            read_only: whether only to read, also from a standby. Nothing is created, and every
                call that may write raises UsageError.
            durability: "full": a write that returned survives a crash of the server, and waits for
                a synchronous standby where one is configured. "normal": a crash of the server may
                undo the last ones.
            isolation: chosen when a store is created, for all that use it later; None: the
                store's own, and "read committed" for a new store. "read committed" keeps
                transactions apart by locks. With "serializable" PostgreSQL checks every
                transaction instead, for servers whose advisory locks are missing or local to one
                node; conflicts are retried.
            timeout: seconds to wait for a connection, for locks, and for the outcome of a write
                whose connection broke; at least 1 is used.
            clock: returns the store's times; for tests.

        Raises:
            ReadFailedError: the server cannot be reached or rejects the user, the schema is
                missing or not a store, or its format is newer; it was not changed.
            WriteFailedError: the schema cannot be created.
            UsageError: an argument is wrong, the store has another isolation, psycopg is not
                installed, or this Python runs in a browser. No message contains the password.
        """

        async def start() -> Self:
            check_clock(clock)
            engine = await postgres_engine(
                _place(url), durability, isolation, timeout, create=create, read_only=read_only
            )
            return cls(engine, clock=clock)

        return Opening(start)


class _OneStore(Closable):
    """One store of a schema, on its own connections."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine)
        self._clock = clock

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = True,
        read_only: bool = False,
        durability: Durability = "full",
        isolation: Isolation | None = None,
        timeout: float = 5.0,
        clock: Clock = Timestamp.now,
    ) -> Opening[Self]:
        """Open a schema of a database, or create it; see `PostgresMobStores.open`."""

        async def start() -> Self:
            check_clock(clock)
            engine = await postgres_engine(
                _place(url), durability, isolation, timeout, create=create, read_only=read_only
            )
            return cls(engine, clock)

        return Opening(start)


class PostgresMobEventStore(_OneStore, MobEventStore):
    """The event log of a PostgreSQL schema, opened alone by `open`."""


class PostgresMobRunStore(_OneStore, MobRunStore):
    """The run store of a PostgreSQL schema, opened alone by `open`."""


class PostgresMobSpecStore(_OneStore, MobSpecStore):
    """The spec store of a PostgreSQL schema, opened alone by `open`."""


class PostgresRealmProfileStore(_OneStore, RealmProfileStore):
    """The realm profiles of a PostgreSQL schema, opened alone by `open`."""


async def postgres_engine(
    place: Place,
    durability: Durability,
    isolation: Isolation | None,
    timeout: float,
    *,
    create: bool,
    read_only: bool,
) -> Engine:
    """Open the engine of a schema; see `PostgresMobStores.open` for arguments and errors."""
    check_options(durability, timeout, create=create, read_only=read_only)
    if isolation is not None and not (
        isinstance(isolation, str) and isolation in get_args(Isolation)
    ):
        raise UsageError("isolation is 'read committed', 'serializable' or None")
    if sys.platform == "emscripten":
        raise UsageError("a browser cannot connect to PostgreSQL; use indexeddb:NAME")
    _check(place.name)
    # Imported here: psycopg is an extra.
    from mobstore.engines.postgres import PostgresEngine

    engine = await PostgresEngine.open(
        place.name,
        place.schema,
        durability=durability,
        isolation=isolation,
        timeout=timeout,
        create=create,
        read_only=read_only,
    )
    return ReadOnlyEngine(engine) if read_only else engine


def _place(url: str) -> Place:
    place = parse_url(url)
    if place.engine != "postgres":
        raise UsageError(f"the URL is not one of PostgreSQL, as in {FORM}; use open_stores(URL)")
    return place


def _check(url: str) -> None:
    """Check a URL by libpq.

    Raises:
        UsageError: libpq rejects the URL, or psycopg or libpq is missing.
    """
    try:
        from psycopg import ProgrammingError, pq
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:  # also if there is no libpq
        raise UsageError(
            "PostgreSQL needs psycopg and libpq: pip install 'mobstore[postgres]'"
        ) from error
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    for name in parameter_names(url):
        if name not in known:
            raise UsageError(
                f"libpq has no parameter {bounded(name, 40)}; a PostgreSQL URL has the form {FORM}"
            )
    try:
        conninfo_to_dict(url)
    except ProgrammingError:  # its text and its traceback may have the password
        accepted = False
    else:
        accepted = True
    if not accepted:
        raise UsageError(f"libpq cannot read the PostgreSQL URL; the form is {FORM}")
