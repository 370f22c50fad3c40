"""Cases of rows that must be new: `Add` never replaces a row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import product
from typing import Any

from mobstore.errors import WriteFailedError
from mobstore.scripts.tables import SPECS, STEP_LEDGER, Key, SpecRow, StepLedgerRow, Table
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Delete,
    DeleteRange,
    Engine,
    Get,
    Put,
    Scan,
    Script,
    Write,
    fetch,
    key_in_use,
)
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.scripts import load_script, read_script, write_script
from mobstore.testing.subject import Subject

_EACH: dict[str, Callable[[Table[Any], Any, Any], Write]] = {
    "add": lambda table, one, _: Add(table, (one,)),
    "add both": lambda table, one, two: Add(table, (two, one)),
    "put": lambda table, one, _: Put(table, (one._replace(**_CHANGED[table]),)),
    "put both": lambda table, one, two: Put(table, (one, two)),
    "delete": lambda table, one, _: Delete(table, table.getter(table.key)(one)),
    "delete range": lambda table, one, _: DeleteRange(Scan(table, (one[0],))),
}
_CHANGED: dict[Table[Any], dict[str, object]] = {
    SPECS: {"definition": "[]"},
    STEP_LEDGER: {"output": "[]"},
}
_ORDERS = [(a, b) for a in _EACH for b in _EACH] + [
    ("add", "put", "delete", "add"), ("put", "delete range", "add", "add"),
    ("delete", "add", "put", "delete range", "add both"), ("add", "delete", "put"),
]  # fmt: skip


def _rows(table: Table[Any], name: str) -> tuple[Any, Any]:
    """Return two rows of a table; rows of a ledger belong to one run that has no others."""
    if table is SPECS:
        return SpecRow(name, 1, "{}"), SpecRow(f"{name} too", 1, "{}")
    one = StepLedgerRow(name, 1, "step", "ann", "failed", "null", "t")
    return one, one._replace(position=2)


def _after(table: Table[Any], rows: Sequence[Any], writes: Sequence[Write]) -> list[Any] | Key:
    """Return the rows of a plain dict after these writes, in order, or the key of the clash."""
    key_of = table.getter(table.key)
    held = {key_of(row): row for row in rows}
    for write in writes:
        if isinstance(write, Delete):
            held.pop(write.key, None)
        elif isinstance(write, DeleteRange):
            held = {key: row for key, row in held.items() if key[0] != write.scan.prefix[0]}
        else:
            for row in write.rows:
                if isinstance(write, Add) and key_of(row) in held:
                    return key_of(row)
                held[key_of(row)] = row
    return sorted(held.values())


async def _held(engine: Engine, table: Table[Any], rows: Sequence[Any]) -> list[Any]:
    key_of = table.getter(table.key)

    def script() -> Script[tuple[Any, ...]]:
        return Commit((yield tuple([Get(table, key_of(row)) for row in rows])))

    return sorted(row for row in await engine.read(script) if row is not None)


@case("engine.add.orders")
async def adds_in_any_order(subject: Subject) -> None:
    """An added row must be new at that point of its commit; otherwise nothing is written."""
    engine = (await subject.open()).engine
    await _in_orders(engine, _ORDERS, lambda *writes: engine.write(write_script(*writes)))


async def _in_orders(
    engine: Engine,
    orders: Iterable[tuple[str, ...]],
    run: Callable[..., Awaitable[None]],
) -> None:
    """Write in these orders with none, one or both of two rows present, and compare."""
    for table, (number, order), start in product(_CHANGED, enumerate(orders), range(3)):
        rows = _rows(table, f"{number} {start}")
        before = list(rows[:start])
        await engine.write(write_script(Put(table, before)))
        writes = [_EACH[step](table, *rows) for step in order]
        want, what = _after(table, before, writes), f"{', '.join(order)} where {start} rows were"
        if isinstance(want, tuple):
            text = str(key_in_use(table, want))
            await expect_error(WriteFailedError, run(*writes), f"{table.name}: {what}", text)
            want = before
        else:
            await run(*writes)
        same(await _held(engine, table, rows), want, f"{table.name}: {what}")


@case("engine.add.read-before")
async def adds_what_was_read(subject: Subject) -> None:
    """The store checks an added row, even if the script has read whether it exists."""
    engine = (await subject.open()).engine

    def adding(table: Table[Any], row: Any) -> Script[None]:
        yield from fetch(Get(table, table.getter(table.key)(row)))
        return Commit(None, (Add(table, (row,)),))

    for start in (0, 1):
        for table in (SPECS, STEP_LEDGER):
            row, _ = _rows(table, f"{start}")
            key = table.getter(table.key)(row)

            await engine.write(write_script(Put(table, (row,)[:start])))
            call = engine.write(partial(adding, table, row))
            if start:
                text = str(key_in_use(table, key))
                await expect_error(WriteFailedError, call, "adding a row that was read", text)
            else:
                await call
            same(await _held(engine, table, (row,)), [row], "the row")


@case("engine.add.tables")
async def a_clash_in_two_tables(subject: Subject) -> None:
    """If keys of two tables are in use, the error names one of them, and nothing is written."""
    engine = (await subject.open()).engine
    spec, _ = _rows(SPECS, "s")
    entry, new = _rows(STEP_LEDGER, "s")
    texts = [str(key_in_use(SPECS, ("s",))), str(key_in_use(STEP_LEDGER, ("s", 1)))]
    await engine.write(write_script(Put(SPECS, (spec,)), Put(STEP_LEDGER, (entry,))))

    adds = [Add(SPECS, (spec,)), Add(STEP_LEDGER, (new, entry))]
    for writes in (adds, adds[::-1]):
        call = engine.write(write_script(*writes))
        error = await expect_error(WriteFailedError, call, "adding both again")
        same(str(error) in texts, True, f"whether one of the two is named by: {error}")
        same(await _held(engine, STEP_LEDGER, (entry, new)), [entry], "the rows")


@case("engine.add.others")
async def a_clash_fails_alone(subject: Subject) -> None:
    """A clash fails only its own script, not those committed with it."""
    engine = (await subject.open()).engine
    rows = [SpecRow(f"{n}", 1, "{}") for n in range(20)]
    taken = rows[3::5]
    await engine.write(write_script(Put(SPECS, taken)))
    changed = [row._replace(revision=2) for row in rows]
    calls = [
        engine.write(write_script(Put(STEP_LEDGER, _rows(STEP_LEDGER, row[0])), Add(SPECS, (row,))))
        for row in changed
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for row, result in zip(rows, results, strict=True):
        text = str(key_in_use(SPECS, (row.mob_id,))) if row in taken else "None"
        same(str(result), text, f"the outcome of adding {row.mob_id}")
        of_script = await engine.read(read_script(Scan(STEP_LEDGER, (row.mob_id,))))
        same(len(of_script), 0 if row in taken else 2, f"rows beside {row.mob_id}")
    want = sorted([*taken, *(row for row in changed if row[0] not in {one[0] for one in taken})])
    same(sorted(await engine.read(read_script(Scan(SPECS)))), want, "the specs")


@case("engine.add.racing")
async def one_of_two_adds(subject: Subject) -> None:
    """Of several scripts that add the same row at once, one succeeds and the others fail."""
    engine = (await subject.open()).engine
    for table in (SPECS, STEP_LEDGER):
        rows = _rows(table, "x")
        calls = [engine.write(write_script(Add(table, rows[: 1 + n % 2]))) for n in range(6)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        text = str(key_in_use(table, table.getter(table.key)(rows[0])))
        same([str(result) for result in results], ["None"] + [text] * 5, "the outcomes")
        same(await _held(engine, table, rows), [rows[0]], "the stored rows")


@case("engine.load.add")
async def loads_new_rows(subject: Subject) -> None:
    """A load adds rows as a write does; a clash, even with its own rows, rolls back all of it."""
    engine = (await subject.open()).engine
    orders = _ORDERS[::5] + _ORDERS[-4:]
    await _in_orders(engine, orders, lambda *writes: engine.load(load_script(*writes)))
