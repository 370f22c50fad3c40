"""The state machine on the engines of this package, but for the browser's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis.stateful import (
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

from state_machine.elsewhere import Elsewhere
from state_machine.machine import Machine, profile_of
from state_machine.subjects import Memory, Pending, Postgres, Sqlite

if TYPE_CHECKING:
    from support.postgres.server import Server

pytestmark = pytest.mark.slow


class MemoryMachine(Machine):
    make = Memory


class PendingMachine(Machine):
    make = Pending


def test_memory() -> None:
    run_state_machine_as_test(MemoryMachine, settings=profile_of(40))


def test_sqlite() -> None:
    with Elsewhere() as process:

        class Shared(Sqlite):
            elsewhere = process

        class SqliteMachine(Machine):
            make = Shared

        run_state_machine_as_test(SqliteMachine, settings=profile_of(15))


def test_postgres(postgres: Server) -> None:
    with Elsewhere() as process:

        class Shared(Postgres):
            server = postgres
            elsewhere = process

        class PostgresMachine(Machine):
            make = Shared

        run_state_machine_as_test(PostgresMachine, settings=profile_of(8))


def test_pending() -> None:
    run_state_machine_as_test(PendingMachine, settings=profile_of(20))
