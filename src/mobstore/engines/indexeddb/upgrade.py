"""Creation of object stores, and upgrades of databases of an earlier format.

Both happen within the transaction of the browser's upgrade, so all or nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from mobstore.engines.clock import machine_time
from mobstore.engines.indexeddb.javascript import Browser, Database, JsValue, Transaction
from mobstore.engines.indexeddb.reads import ReadBatch
from mobstore.engines.indexeddb.rows import Rows, Steps
from mobstore.scripts.tables import (
    IDENTITY,
    META,
    RUN_CLAIMS,
    RUNS_BY_STATUS,
    TABLES,
    MetaRow,
    RunClaimRow,
)
from mobstore.scripts.transaction import Now, Put, Scan

_PAGE = 1000  # runs


def upgrade(
    browser: Browser,
    database: Database,
    transaction: Transaction,
    version: int,
    fail: Callable[[Exception], None],
) -> None:
    """Change a database to the present format, once the requests that this creates succeed.

    Missing object stores and indexes are created. A new `META` store gets the database's identity.

    Args:
        browser: the browser.
        database: the database.
        transaction: the transaction of the upgrade.
        version: the format of the database, 0 if it is new.
        fail: aborts the transaction; called with an error that occurs later.
    """
    for table in TABLES:
        if database.objectStoreNames.contains(table.name):
            store = transaction.objectStore(table.name)
        else:
            store = database.createObjectStore(table.name)
            if table is META:
                store.put(browser.value(MetaRow(IDENTITY, str(uuid4()))._asdict()), IDENTITY)
        for index in table.indexes:
            if not store.indexNames.contains(index.name):
                columns = index.sorted_by
                store.createIndex(
                    index.name, columns[0] if len(columns) == 1 else browser.array(*columns)
                )
    if version == 1:
        rows = Rows(browser, transaction, machine_time)
        _run(browser, rows, _add_claims(rows), fail)


def _add_claims(rows: Rows) -> Steps:
    """Let runs of format 1 that have not ended be claimed, from now on at the latest."""
    for status in ("pending", "running"):
        last = 0
        while True:
            scan = Scan(RUNS_BY_STATUS, (status,), after=last, limit=_PAGE)
            runs, now = yield (scan, Now())
            if not runs:
                break
            claims = [
                RunClaimRow(run_id, number, mob_id, flow_id, status, min(created_at, now), "", 0, 0)
                for run_id, number, mob_id, flow_id, status, _, created_at, *_ in runs
            ]
            yield from rows.write(Put(RUN_CLAIMS, claims), careful=False)
            last = runs[-1].number


def _run(browser: Browser, rows: Rows, steps: Steps, fail: Callable[[Exception], None]) -> None:
    """Step through reads and writes within the events of their requests."""
    batch = ReadBatch(next(steps))

    def advance(_: JsValue = None) -> None:
        nonlocal batch
        try:
            rows.take()
            while not rows.send([batch], handler):
                batch = ReadBatch(steps.send(rows.answers(batch) or ()))
        except StopIteration:
            rows.flush()
            handler.destroy()
        except Exception as error:  # noqa: BLE001 - handed to the caller of `open`
            fail(error)
            handler.destroy()

    handler = browser.handler(advance)
    advance()
