"""Look through whole stores: what is wrong in one, what differs between two."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from uuid import uuid4

from mobstore.audit.comparison import Difference, diff
from mobstore.audit.verification import Problem, Verification, repair_script, verify_script
from mobstore.bundles import MobStores
from mobstore.bundles.base import check_stores
from mobstore.errors import ReadFailedError
from mobstore.progress import Progress, while_awaited
from mobstore.tables import TABLES

__all__ = ["Difference", "Problem", "Verification", "diff", "verify"]

_ROWS = 64  # mended at once


async def verify(
    stores: MobStores, *, repair: bool = False, progress: Progress | None = None
) -> Verification:
    """Look for what no store would have written, in a whole store as it stands at one moment.

    Every row must be what a store would have written; counters must be ahead, ledgers without
    gaps; all that belongs to a run must have that run, and every run its state. In SQLite the file
    itself is looked through as well.

    It needs memory for about a thousand rows, and for the 10,000 problems that it lists. Of more
    than a thousand rows at one position of a run the others are not looked at.

    Args:
        stores: what to look through; on any engine. Others may go on writing to it.
        repair: whether to mend what can be mended without guessing: counters that are behind,
            an identity that is missing or cannot be read, which is made anew, columns that do not
            repeat what the row's JSON says, JSON in another form than that in which a store
            writes it. Some rows at a time, each time in one transaction, in which they are
            looked at anew.
        progress: told how far the looking is, every few hundred rows.

    Raises:
        ReadFailedError: the store's medium failed, and does not know of any damage.
        WriteFailedError: the medium refused a repair. What was mended before stays mended.
        InternalError: an argument is of another type.
    """
    check_stores(stores)
    damages = tuple(Problem("", (), what) for what in await stores.engine.faults())
    try:
        with while_awaited(progress) as telling:
            found = await stores.engine.read(lambda: verify_script(telling))
    except ReadFailedError:
        if not damages:
            raise
        return Verification({}, damages)
    problems = damages + found.problems
    if repair:
        tables = {table.name: table for table in TABLES}
        rows = dict.fromkeys((tables[p.table], p.key) for p in problems if p.repairable)
        waiting = list(rows)
        for start in range(0, len(waiting), _ROWS):
            some = waiting[start : start + _ROWS]
            await stores.engine.write(partial(repair_script, some, str(uuid4())))
        problems = tuple(replace(p, repaired=p.repairable) for p in problems)
    return Verification(found.rows, problems)
