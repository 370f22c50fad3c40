"""Cases of callers' functions: their errors reach the caller unchanged on every engine."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from typing import Any, cast

from mobstore.engines.memory import MemoryEngine
from mobstore.errors import InternalError
from mobstore.maintenance.comparison import diff
from mobstore.maintenance.progress import Progress
from mobstore.maintenance.transfer import copy, export_stores, import_stores
from mobstore.maintenance.verification import verify
from mobstore.stores.mob_stores import MobStores, Stores
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import event, full_run
from mobstore.testing.subject import Subject

# Errors that an engine would take for its medium's, or for corruption, if they were its own.
_ERRORS: tuple[type[Exception], ...] = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    RuntimeError,
    OSError,
)


@case("callers.atomic")
async def raises_what_the_function_raises(subject: Subject) -> None:
    """An error of an atomic call's function reaches the caller unchanged."""
    stores = await subject.open()

    async def takes_nothing() -> None: ...

    await expect_error(TypeError, stores.atomic(cast("Any", takes_nothing)), "no parameter")
    for kind in _ERRORS:
        own = kind("mine")

        async def raises(at: Stores, own: Exception = own) -> None:
            await at.events.append(event())
            raise own

        def raises_at_once(_: Stores, own: Exception = own) -> Any:
            raise own

        for function in (raises, raises_at_once):
            error = await expect_error(kind, stores.atomic(function), f"a {kind.__name__}")
            assert error is own, f"{kind.__name__}: the error itself is raised"
    same(await stores.events.latest_cursor(), 0, "the log")


@case("callers.progress")
async def raises_what_progress_raises(subject: Subject) -> None:
    """An error of a progress function reaches the caller unchanged and rolls back the work."""
    stores, filled = await subject.open(), MobStores(MemoryEngine(), clock=subject.clock)
    await filled.runs.create_run(full_run())
    archive = io.BytesIO()
    await export_stores(filled, archive)
    into: dict[str, Callable[[Progress], Awaitable[object]]] = {
        "import_stores": lambda tell: import_stores(archive, stores, progress=tell),
        "copy into it": lambda tell: copy(filled, stores, progress=tell),
    }
    out: dict[str, Callable[[Progress], Awaitable[object]]] = {
        "export_stores": lambda tell: export_stores(stores, io.BytesIO(), progress=tell),
        "copy from it": lambda tell: copy(stores, MobStores(MemoryEngine()), progress=tell),
        "verify": lambda tell: verify(stores, progress=tell),
    }

    async def asynchronous(done: int, total: int) -> None: ...

    async def check(calls: dict[str, Callable[[Progress], Awaitable[object]]]) -> None:
        for what, call in calls.items():
            for kind in _ERRORS:
                own = kind("mine")

                def raises(done: int, total: int, own: Exception = own) -> None:
                    if done == total:
                        raise own

                error = await expect_error(kind, call(raises), f"{what}: a {kind.__name__}")
                assert error is own, f"{what}: the error itself is raised"
            await expect_error(InternalError, call(cast("Any", asynchronous)), f"{what}: async")

    await check(into)
    same(await stores.runs.list_runs("mob"), [], "the runs after imports that failed")
    await copy(filled, stores)
    await check(out)
    same(await stores.runs.list_runs("mob"), [full_run()], "the runs in the end")


@case("callers.arguments")
async def names_the_fix(subject: Subject) -> None:
    """A URL in place of stores, or a path in place of a file, raises an error with the fix."""
    stores = await subject.open()
    wrong: Any = "memory:"
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "export_stores": lambda: export_stores(wrong, io.BytesIO()),
        "import_stores": lambda: import_stores(io.BytesIO(), wrong),
        "copy from": lambda: copy(wrong, stores),
        "copy to": lambda: copy(stores, wrong),
        "verify": lambda: verify(wrong),
        "diff from": lambda: anext(diff(wrong, stores)),
        "diff to": lambda: anext(diff(stores, wrong)),
    }
    for what, call in calls.items():
        error = await expect_error(InternalError, call(), what)
        assert "open_stores" in error.detail, f"{what}: the error names the fix: {error}"
    files: dict[str, Callable[[], Awaitable[object]]] = {
        "a path to write": lambda: export_stores(stores, cast("Any", "mobs.zip")),
        "text to write": lambda: export_stores(stores, cast("Any", io.StringIO())),
        "a path to read": lambda: import_stores(cast("Any", "mobs.zip"), stores),
        "text to read": lambda: import_stores(cast("Any", io.StringIO()), stores),
    }
    for what, call in files.items():
        error = await expect_error(InternalError, call(), what)
        assert "open(path, " in error.detail, f"{what}: the error names the fix: {error}"
