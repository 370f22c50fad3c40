"""The state machine on IndexedDB; its synchronous rules wait on a suspended stack."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, cast
from uuid import uuid4

from browser.inside.indexeddb import delete_database
from browser.inside.javascript import ffi, pyodide
from mobstore import MobStores, open_stores

T = TypeVar("T")


class SuspendingRunner:
    def run(self, coro: Coroutine[Any, Any, T], /) -> T:
        return cast("T", ffi.run_sync(coro))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


async def run(wheels: list[str], examples: int) -> None:
    """Run the state machine.

    Args:
        wheels: addresses of the wheels of Hypothesis and what it needs.
        examples: number of examples.
    """
    await pyodide.loadPackage(wheels)

    from hypothesis.stateful import (
        run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
    )

    from state_machine.machine import Machine, profile_of
    from state_machine.subjects import Subject

    class IndexedDb(Subject):
        shared = True

        def __init__(self) -> None:
            super().__init__()
            self.name = f"machine-{uuid4()}"

        async def open(self, way: int = 0, *, read_only: bool = False) -> MobStores:  # noqa: ARG002
            return await open_stores(
                f"indexeddb:{self.name}",
                durability="normal",
                clock=self.clock,
                read_only=read_only,
            )

        def dispose(self) -> None:
            ffi.run_sync(delete_database(self.name))

    class IndexedDbMachine(Machine):
        make = IndexedDb
        make_runner = SuspendingRunner

    run_state_machine_as_test(IndexedDbMachine, settings=profile_of(examples))
