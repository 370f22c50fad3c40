"""Values of the largest sizes, in a browser."""

from __future__ import annotations

import base64
import os
from typing import Any
from uuid import uuid4

from browser.inside.handles import error_of
from browser.inside.indexeddb import delete_database
from mobstore import open_stores
from mobstore.testing.samples import make_run, run_id, step

_BLOCK = 2**20  # browsers compress shorter blocks than this


async def output(head: str, size: int) -> list[Any]:
    """Store and read an incompressible output; return the error and what is stored then.

    Args:
        head: start of the text.
        size: bytes of its JSON, one for each character after the head.
    """
    name = f"sizes-{uuid4()}"
    length = size - len(head.encode()) - 2
    block = base64.b64encode(os.urandom(_BLOCK * 3 // 4)).decode()
    text = head + (block * (length // _BLOCK + 1))[:length]
    async with open_stores(f"indexeddb:{name}", durability="normal") as stores:
        await stores.runs.create_run(make_run(step_ledger=(step(output=1),)))
        error = await error_of(stores.runs.put_step_output(run_id(1), "step", text))
    async with open_stores(f"indexeddb:{name}") as stores:
        run = await stores.runs.get_run(run_id(1))
        found = None if run is None else run.step_ledger[0].output
    await delete_database(name)
    return [error, "new" if found == text else "old" if found == 1 else "wrong"]
