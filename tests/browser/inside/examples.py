"""Code of the documentation, run as a page would run it."""

from __future__ import annotations

import ast
import inspect
import io
from contextlib import redirect_stdout

from browser.inside.indexeddb import delete_database


async def run(code: str, database: str) -> str:
    """Return the output of a block of code; its database is deleted."""
    out = io.StringIO()
    compiled = compile(code, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(out):
        ended = eval(compiled, {"__name__": "__main__"})  # noqa: S307 - our own code
        if inspect.iscoroutine(ended):
            await ended
    await delete_database(database)
    return out.getvalue()
