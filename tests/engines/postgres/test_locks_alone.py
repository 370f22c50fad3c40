"""Without a server: what conflicts has a lock in common, and values keep their order."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from differential.choices import Choices, Pool
from differential.model import Model, show
from engines.postgres import broken
from mobstore.engines.postgres.locks import STORE, Locks
from mobstore.engines.postgres.reads import name_of
from mobstore.engines.postgres.values import array, original, text
from mobstore.scripts.tables import (
    COUNTERS,
    NEXT_EPOCH,
    NEXT_RUN,
    RUN_CLAIMS,
    RUN_CLAIMS_BY_HOLDER,
    RUN_CLAIMS_BY_STATUS,
    RUNS,
    RUNS_BY_NUMBER,
    STEP_LEDGER,
    TABLES,
    RunClaimRow,
    RunRow,
    RunStateRow,
    StepLedgerRow,
)
from mobstore.scripts.transaction import (
    Add,
    Count,
    Delete,
    DeleteRange,
    Get,
    Now,
    Put,
    Read,
    Scan,
    Write,
)

# Locks -------------------------------------------------------------------------------------------


def numbers_of(asked: Read | Write) -> set[int]:
    """Return the locks that a transaction takes; that of the store only if it is exclusive."""
    locks = Locks("s")
    locks.add([asked])
    return {locks.store} if locks.whole else set(locks.others())


def exclude(one: Read | Write, other: Read | Write) -> bool:
    """Return whether two transactions never overlap."""
    store = Locks("s").store
    locks, others = numbers_of(one), numbers_of(other)
    return store in locks or store in others or bool(locks & others)


def some_state(choices: Choices) -> Model:
    state = Model({table.name: {} for table in TABLES})
    for _ in range(6):
        state.apply(choices.writes(6))
    choices.seen += [
        (table, row) for table in choices.pool.tables for row in state.tables[table.name].values()
    ]
    return state


def differ(one: Model, other: Model, read: Read) -> bool:
    if isinstance(read, Now):
        return False
    if isinstance(read, Get):
        rows, others = one.tables[read.table.name], other.tables[read.table.name]
        return rows.get(read.key) != others.get(read.key)
    if isinstance(read, Count):
        return len(one.find(read.scan)) != len(other.find(read.scan))
    return one.find(read)[: read.limit] != other.find(read)[: read.limit]


def is_of_numbers(read: Read, write: Write) -> bool:
    """Return whether only numbers of runs are locked, and the write is of existing runs."""
    scan = read.scan if isinstance(read, Count) else read
    return (
        isinstance(scan, Scan)
        and scan.index is RUNS_BY_NUMBER
        and (isinstance(read, Count) or (scan.backwards and scan.limit is not None))
        and isinstance(write, Put)
        and write.table is RUNS
    )


def is_of_work(read: Read) -> bool:
    """Return whether only the making of claims is locked, not the runs that it finds."""
    return (
        isinstance(read, Scan)
        and read.index.table is RUN_CLAIMS
        and (read.limit == 1 or (read.index is RUN_CLAIMS_BY_HOLDER and bool(read.prefix)))
        and read.index is not RUN_CLAIMS
    )


def unlocked_reads(seeds: int) -> list[str]:
    """Return reads and writes that change their answers, but may overlap with them."""
    found: list[str] = []
    changes = 0
    for seed in range(seeds):
        choices = Choices(Pool(seed), f"locks {seed}")
        state = some_state(choices)
        for write in choices.writes(8):
            after = state.copy()
            after.apply([write])
            for read in choices.reads(30):
                if is_of_numbers(read, write) or is_of_work(read):
                    continue
                if not differ(state, after, read):
                    continue
                changes += 1
                if not exclude(read, write):
                    found.append(f"{show(read)} and {show(write)}")
    assert changes > 3 * seeds
    return found


@pytest.mark.slow
def test_a_write_that_changes_an_answer_excludes_its_reader() -> None:
    assert not unlocked_reads(150)


@pytest.mark.parametrize("variant", ["no locks of aggregates", "no locks for writes"])
def test_missing_locks_are_noticed(variant: str) -> None:
    with broken.VARIANTS[variant]():
        assert unlocked_reads(20)


def test_writes_whose_order_matters_exclude_each_other() -> None:
    matter = 0
    for seed in range(150):
        choices = Choices(Pool(seed), f"orders {seed}")
        state = some_state(choices)
        writes = choices.writes(10)
        for one, other in pairwise(writes):
            states = [state.copy(), state.copy()]
            states[0].apply([one, other])
            states[1].apply([other, one])
            if states[0].tables != states[1].tables:
                matter += 1
                assert exclude(one, other), f"{show(one)} and {show(other)}"
    assert matter > 50


def test_what_belongs_to_a_run_has_one_lock() -> None:
    of_run = {Locks("s").number(("run", "r"))}
    assert numbers_of(Get(RUNS, ("r",))) == of_run
    assert numbers_of(Scan(STEP_LEDGER, ("r",), after=3, limit=1)) == of_run
    step = StepLedgerRow("r", 1, "s", "m", "st", "null", "t")
    assert numbers_of(Add(STEP_LEDGER, [step])) == of_run
    assert not of_run & numbers_of(Get(RUNS, ("other",)))


RUN = RunRow("r", 7, "mob", "flow", "running", "null", "t", "", 4)


@pytest.mark.parametrize(
    "read",
    [
        Count(Scan(RUNS_BY_NUMBER)),
        Count(Scan(RUNS_BY_NUMBER, after=3)),
        Scan(RUNS_BY_NUMBER, limit=1, backwards=True),
        Get(COUNTERS, (NEXT_RUN,)),
        Scan(RUNS_BY_NUMBER),
        Scan(RUNS),
    ],
    ids=show,
)
@pytest.mark.parametrize(
    "write",
    [
        Add(RUNS, [RUN]),
        Delete(RUNS, ("r",)),
        DeleteRange(Scan(RUNS, ("r",))),
        DeleteRange(Scan(RUNS_BY_NUMBER, (7,))),
    ],
    ids=show,
)
def test_reading_numbers_excludes_adding_and_removing_runs(read: Read, write: Write) -> None:
    assert exclude(read, write)


def test_creating_a_run_excludes_no_change_of_another() -> None:
    """The last run is read for its number only, which no change of a run changes."""
    last = Scan(RUNS_BY_NUMBER, limit=1, backwards=True)
    assert not exclude(last, Put(RUNS, [RUN]))
    assert exclude(Scan(RUNS_BY_NUMBER, limit=1), Put(RUNS, [RUN]))


def test_finding_work_excludes_making_claims_only() -> None:
    claim = RunClaimRow("r", 7, "mob", "flow", "running", "t", "", 0, 0)
    for work in (
        Scan(RUN_CLAIMS_BY_STATUS, ("running",), limit=1),
        Scan(RUN_CLAIMS_BY_HOLDER, ("ann",)),
    ):
        assert exclude(work, work)
        assert exclude(work, Get(COUNTERS, (NEXT_EPOCH,)))
        assert not exclude(work, Put(RUN_CLAIMS, [claim]))
    others: tuple[Read, ...] = (
        Scan(RUN_CLAIMS),
        Scan(RUN_CLAIMS, limit=1),
        Scan(RUN_CLAIMS_BY_STATUS, ("running",)),
        Scan(RUN_CLAIMS_BY_HOLDER, after=""),
        Count(Scan(RUN_CLAIMS_BY_HOLDER, ("ann",))),
        Get(RUN_CLAIMS, ("r",)),
    )
    for other in others:
        assert exclude(other, Put(RUN_CLAIMS, [claim]))


def test_more_than_200_locks_become_that_of_the_store() -> None:
    locks = Locks("s")
    table = next(table for table in TABLES if table.row is RunStateRow)
    for n in range(200):
        assert locks.add([Get(table, (f"{n}",))]) == {("run", f"{n}")}
    assert not locks.whole
    assert len(locks.others()) == 200
    assert locks.add([Get(table, ("one more",))]) == {STORE}
    assert locks.whole
    assert locks.others() == []
    assert locks.add([Get(table, ("and more",))]) == set()


def test_locks_are_sorted_and_of_one_schema() -> None:
    one, other = Locks("one"), Locks("other")
    for locks in (one, other):
        locks.add([Get(RUNS, (f"{n}",)) for n in range(50)])
    assert one.others() == sorted(one.others())
    assert not {one.store, *one.others()} & {other.store, *other.others()}


# Reads -------------------------------------------------------------------------------------------


def test_different_reads_have_different_names() -> None:
    names: dict[object, str] = {}
    for seed in range(60):
        for read in Choices(Pool(seed), f"names {seed}").reads(40):
            shown = show(read)
            assert names.setdefault(name_of(read), shown) == shown


# Values ------------------------------------------------------------------------------------------

texts = st.text(st.one_of(st.sampled_from("\0\1\2\3a"), st.characters(exclude_categories=["Cs"])))


@given(st.lists(texts, max_size=8))
def test_stored_texts_are_in_order_of_code_points(values: list[str]) -> None:
    assert [original(text(value).decode()) for value in values] == values
    assert all(b"\0" not in text(value) for value in values)
    assert sorted(values, key=text) == sorted(values)


@given(st.lists(st.one_of(st.none(), texts)))
def test_arrays_of_texts(values: list[str | None]) -> None:
    found = unpacked(values, str)
    assert values == [None if one is None else original(one.decode()) for one in found]


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))))
def test_arrays_of_numbers(values: list[int | None]) -> None:
    found = [
        None if value is None else int.from_bytes(value, signed=True)
        for value in unpacked(values, int)
    ]
    assert found == values


def unpacked(values: list[str | None] | list[int | None], kind: type) -> list[bytes | None]:
    """Return the values in the binary form of an array of one dimension."""
    content = array(kind, values).content
    assert content is not None
    dimensions, nulls, oid, size, first = struct.unpack("!5i", content[:20])
    assert (dimensions, nulls, size, first) == (1, None in values, len(values), 1)
    assert oid == (25 if kind is str else 20)
    found: list[bytes | None] = []
    place = 20
    while place < len(content):
        (length,) = struct.unpack_from("!i", content, place)
        place += 4
        found.append(None if length < 0 else content[place : place + length])
        place += max(length, 0)
    return found
