"""The largest values, in a browser."""

from __future__ import annotations

import base64
import os
from typing import Any
from uuid import uuid4

from browser.inside.handles import error_of
from browser.inside.indexeddb import delete_database
from mobstore import open_stores
from mobstore.testing.samples import make_run, run_id, step


async def output(head: str, size: int) -> list[Any]:
    """Store and read an output that cannot be compressed; give its error and what is there then.

    Args:
        head: what the text begins with.
        size: bytes of its JSON; what follows the head takes one each.
    """
    name = f"sizes-{uuid4()}"
    length = size - len(head.encode()) - 2
    text = head + base64.b64encode(os.urandom(length)).decode()[:length]
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        await stores.runs.create_run(make_run(step_ledger=(step(output=1),)))
        error = await error_of(stores.runs.put_step_output(run_id(1), "step", text))
    async with open_stores(f"indexeddb:{name}") as stores:
        run = await stores.runs.get_run(run_id(1))
        found = None if run is None else run.step_ledger[0].output
    await delete_database(name)
    return [error, "new" if found == text else "old" if found == 1 else "wrong"]
