"""The contract on the engines of this package."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from mobstore import Isolation, MobStores, SqliteMobStores
from mobstore.engines.sqlite import writer
from mobstore.testing import Capability, Case, MemorySubject, Subject, all_cases
from support.pending import PendingEngine

if TYPE_CHECKING:
    from support.postgres.server import Server

Maker: TypeAlias = Callable[[Path], Subject]


class SqliteFileSubject(Subject):
    capabilities = frozenset[Capability](("durable", "shared"))

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._path = directory / "mobs.db"

    async def connect(self) -> MobStores:
        return await SqliteMobStores.open(self._path, clock=self.clock)


class PendingSubject(Subject):
    async def connect(self) -> MobStores:
        return MobStores(PendingEngine(), clock=self.clock)


SUBJECTS: dict[str, Maker] = {
    "memory": lambda _: MemorySubject(),
    "pending": lambda _: PendingSubject(),
    "sqlite": SqliteFileSubject,
}
SLOW = {"limits.values": pytest.mark.slow}


@pytest.mark.parametrize(
    ("case", "make_subject"),
    [
        pytest.param(case, make, id=f"{case.id}-{name}", marks=SLOW.get(case.id, ()))
        for case in all_cases().values()
        for name, make in SUBJECTS.items()
        # Within an atomic call nothing is loaded, and what is pending has not been added yet.
        if name != "pending" or not case.id.startswith(("engine.add", "engine.load", "cancel.load"))
    ],
)
def test_contract(case: Case, make_subject: Maker, tmp_path: Path) -> None:
    _check(case, make_subject(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("case", all_cases().values(), ids=all_cases())
def test_contract_of_writes_at_once(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite: every commit counts as quick, so small writes run on the calling thread."""
    monkeypatch.setattr(writer, "_QUICK", 60.0)
    _check(case, SqliteFileSubject(tmp_path))


# The isolation changes how transactions meet, not what an operation means.
_OF_TRANSACTIONS = ("atomic.", "cancel.", "concurrent.", "engine.")


@pytest.mark.parametrize(
    ("case", "isolation"),
    [
        pytest.param(case, isolation, id=f"{case.id}-{isolation}", marks=SLOW.get(case.id, ()))
        for isolation in ("read committed", "serializable")
        for case in all_cases().values()
        if isolation == "read committed" or case.id.startswith(_OF_TRANSACTIONS)
    ],
)
def test_contract_on_postgres(case: Case, isolation: Isolation, postgres: Server) -> None:
    from support.postgres.subject import PostgresSubject

    _check(case, PostgresSubject(postgres, isolation))


def _check(case: Case, subject: Subject) -> None:
    if missing := case.missing(subject):
        pytest.skip(f"needs {', '.join(missing)}")

    async def run() -> None:
        try:
            await case.function(subject)
        finally:
            await subject.close()

    asyncio.run(run())
