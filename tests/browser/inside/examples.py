"""The code of the documentation's pages, as a page would run it."""

from __future__ import annotations

import ast
import inspect
import io
from contextlib import redirect_stdout

from browser.inside.indexeddb import delete_database


async def run(code: str, database: str) -> str:
    """What a block of code prints; the database that it makes is removed."""
    out = io.StringIO()
    compiled = compile(code, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(out):
        ended = eval(compiled, {"__name__": "__main__"})  # noqa: S307 - our own code
        if inspect.iscoroutine(ended):
            await ended
    await delete_database(database)
    return out.getvalue()
