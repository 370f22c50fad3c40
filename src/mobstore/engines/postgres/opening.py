"""Opening a store for the first time: checked, or created."""

from __future__ import annotations

import asyncio
import math
from time import monotonic
from typing import cast, get_args

from mobstore.engines.postgres import layout
from mobstore.engines.postgres.connections import Server
from mobstore.engines.postgres.driver_errors import LostError, ServerError, translate
from mobstore.engines.postgres.values import scalar
from mobstore.engines.postgres.wire import Statement, Wire
from mobstore.errors import ReadFailedError, UsageError, WriteFailedError
from mobstore.scripts.tables import FORMAT
from mobstore.scripts.transaction import Isolation

_NOT_STARTED = "57P03"
_PAUSE = 0.1  # seconds between attempts


async def open_store(server: Server) -> Wire:
    """Connect for the first time; check or create the store.

    Raises:
        ReadFailedError: the server cannot be reached, is too old or not UTF8; the store is
            missing, foreign or of a newer format. Or it is a standby, and not `read_only`.
        WriteFailedError: the store cannot be created.
        UsageError: the connection's URL is wrong.
    """
    wire = await _connected(server)
    try:
        if wire.pooled:
            await _check_pooler(server, wire)
        await _check_store(server, wire)
    except ServerError as error:
        wire.close()
        raise translate(error, server.where, ReadFailedError) from error
    except LostError as error:
        raise translate(error, server.where, ReadFailedError) from error
    except BaseException:
        wire.close()
        raise
    return wire


async def _connected(server: Server) -> Wire:
    """Return a connection; wait for a server that starts, for at most `patience` seconds.

    Any other failure may come from a wrong URL, so it is reported at once.
    """
    deadline = monotonic() + server.patience
    while True:
        try:
            return await server.connect_first()
        except LostError as error:
            if error.sqlstate != _NOT_STARTED or monotonic() + _PAUSE > deadline:
                raise translate(error, server.where, ReadFailedError) from error
        except ServerError as error:
            raise translate(error, server.where, ReadFailedError) from error
        await asyncio.sleep(_PAUSE)


async def _check_pooler(server: Server, wire: Wire) -> None:
    """Raise unless a pooler keeps a connection to the server for a whole transaction.

    Raises:
        ReadFailedError: it does not.
    """
    try:
        for statement in ("BEGIN", "COMMIT"):
            await wire.exchange([Statement(statement)], server.silence)
    except (ServerError, LostError) as error:
        raise ReadFailedError(
            f"{server.where}: the pooler ended the connection within a transaction; its mode must"
            " be transaction or session pooling"
        ) from error


async def _check_store(server: Server, wire: Wire) -> None:
    """Check the store, or create it.

    Raises:
        MobStoreError: it is missing, foreign, damaged, or of a newer format.
    """
    options, sql = server.options, server.sql
    content = layout.content_of(options.schema)
    found = layout.found(await wire.ask(content, server.silence))
    if found.foreign:
        raise ReadFailedError(
            f"{server.where} holds tables that are not mobstore's; use another schema"
        )
    if not found.store:
        if options.read_only or not options.create:
            raise ReadFailedError(f"{server.where}: there is no store; is the name right?")
        await _create(server, wire)
        found = layout.found(await wire.ask(content, server.silence))
    read_format, read_isolation = layout.read_marker(sql)
    version = int(await server.value(wire, read_format) or 0)
    if version > FORMAT:
        raise ReadFailedError(
            f"{server.where} has format {version}, and this version of mobstore reads up to"
            f" {FORMAT}; update mobstore"
        )
    if version == 1:
        raise ReadFailedError(
            f"{server.where} has format 1, of a mobstore before its first release; copy it to a"
            " SQLite file with that mobstore, and the file to another schema with this one"
        )
    if found.fault or version < 1:
        fault = found.fault or "its format is missing"
        raise ReadFailedError(
            f"{server.where} is damaged: {fault}; undo this change, or restore a backup"
        )
    isolation = await server.value(wire, read_isolation)
    if isolation not in get_args(Isolation):
        raise ReadFailedError(
            f"{server.where} is damaged: its isolation is unknown; undo this change, or restore a"
            " backup"
        )
    if options.isolation not in {None, isolation}:
        raise UsageError(
            f"{server.where} was created with isolation={isolation!r}, which belongs to the store"
            " because the two kinds do not notice each other; leave isolation out"
        )
    server.found(await server.read_marker(wire), cast("Isolation", isolation))


async def _create(server: Server, wire: Wire) -> None:
    """Create the store, unless another process has done so meanwhile.

    Raises:
        WriteFailedError: the role lacks a right.
        ReadFailedError: another program has created tables meanwhile.
    """
    lock = scalar(layout.creation_lock(server.options.schema))
    milliseconds = scalar(f"{math.ceil(server.patience * 1000)}ms")
    facts = server.facts
    assert facts is not None  # noqa: S101 - set by `_connect`
    try:
        results = await wire.exchange(
            [
                Statement("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"),
                *wire.after_begin,
                Statement(
                    "SELECT set_config('lock_timeout', $1::text, true),"
                    " set_config('idle_in_transaction_session_timeout', $1::text, true)",
                    (milliseconds,),
                ),
                Statement("SELECT pg_advisory_xact_lock($1::bigint)", (lock,)),
                *layout.content_of(server.options.schema),
            ],
            server.silence,
        )
        found = layout.found(results[3 + len(wire.after_begin) :])
        if found.foreign:
            raise ReadFailedError(
                f"{server.where} holds tables that are not mobstore's; use another schema"
            )
        if not found.store:
            isolation = server.options.isolation or "read committed"
            create = layout.create(server.sql, isolation, schema=not found.exists, lz4=facts.lz4)
            await wire.exchange(list(create), server.silence)
        await wire.exchange([Statement("COMMIT")], server.silence)
    except ServerError as error:
        raise translate(error, server.where, WriteFailedError) from error
