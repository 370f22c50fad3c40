"""The oracle detects broken imports, and the pool detects processes that hang or die."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import pytest

import mobstore
from fuzz import broken, oracle
from fuzz.bases import Bases, make_bases
from fuzz.cases import KINDS, run
from fuzz.pool import Child
from mobstore.maintenance.transfer import Summary, import_stores

pytestmark = pytest.mark.slow

Import: TypeAlias = Callable[[BinaryIO, mobstore.MobStores], Awaitable[Summary]]

ROWS = [seed for seed in range(200) if list(KINDS)[seed % len(KINDS)] == "zip: rows"]


async def raises_a_bare_error(*_: object) -> Summary:
    raise ValueError


async def leaves_a_part(source: BinaryIO, stores: mobstore.MobStores) -> Summary:
    await import_stores(source, stores)
    raise mobstore.SerializationError("this one is bad; nothing was imported")


async def loses_a_row(source: BinaryIO, stores: mobstore.MobStores) -> Summary:
    summary = await import_stores(source, stores)
    await stores.specs.delete_spec("mob")
    return summary


async def writes_to_the_source(source: BinaryIO, stores: mobstore.MobStores) -> Summary:
    os.truncate(source.name, 10)
    return await import_stores(source, stores)


async def leaves_a_link(source: BinaryIO, stores: mobstore.MobStores) -> Summary:
    os.link(source.name, f"{source.name}.part")
    return await import_stores(source, stores)


async def quotes_all_it_reads(*_: object) -> Summary:
    raise mobstore.SerializationError("x" * 100_000)


async def tells_a_long_cause(*_: object) -> Summary:
    raise mobstore.SerializationError("no") from ValueError("x" * 1_000_000)


BROKEN: list[tuple[Any, str]] = [
    (raises_a_bare_error, "ValueError"),
    (leaves_a_part, "something is there"),
    (loses_a_row, "was reported"),
    (writes_to_the_source, "the source was changed"),
    (leaves_a_link, "left beside it"),
    (quotes_all_it_reads, "a message of 100,021 characters"),
    (tells_a_long_cause, "whose causes have"),
]


@pytest.fixture(scope="session")
def bases() -> Bases:
    return make_bases()


@pytest.mark.parametrize(("importing", "why"), BROKEN, ids=[one.__name__ for one, _ in BROKEN])
def test_a_broken_import_is_found(
    importing: Import,
    why: str,
    bases: Bases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The oracle itself also imports, what was exported: that is left as it is.
    def choose(source: Any, stores: mobstore.MobStores) -> Awaitable[Summary]:
        return (importing if hasattr(source, "name") else import_stores)(source, stores)

    monkeypatch.setattr(oracle, "import_stores", choose)
    assert any(why in run(seed, bases, tmp_path / "case").fault for seed in ROWS)


def test_a_process_that_hangs_is_found(tmp_path: Path) -> None:
    with closing(Child(tmp_path, program="fuzz.broken", seconds=3)) as child:
        assert "is stuck after 3 s" in child.run(broken.HANGS).fault
        assert child.run(broken.ENDS_WELL).fault == ""  # in another process


@pytest.fixture
def child(tmp_path: Path) -> Generator[Child]:
    with closing(Child(tmp_path, program="fuzz.broken", seconds=60)) as child:
        yield child


def test_a_process_that_dies_or_takes_all_memory_is_found(child: Child) -> None:
    assert child.run(broken.ENDS_WELL).fault == ""
    assert "died with -6" in child.run(broken.DIES).fault
    assert "MemoryError" in child.run(broken.EATS).fault
    assert child.run(broken.ENDS_WELL).fault == ""


def test_the_same_seed_gives_the_same_files(bases: Bases, tmp_path: Path) -> None:
    for seed in range(len(KINDS)):
        made: list[oracle.Files] = []
        for folder in (tmp_path / "one", tmp_path / "other"):
            run(seed, bases, folder)
            made.append(oracle.files_in(folder / "source"))
        if "side files" not in list(KINDS)[seed]:  # a log has a number of its own
            assert made[0] == made[1], seed
