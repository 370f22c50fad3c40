"""The scripts that remove runs, stepped by hand."""

from __future__ import annotations

from core.runs import ID, NOW, RUN, ended
from mobstore.operations.runs import delete_run, prune_runs
from mobstore.scripts.tables import RUNS, RUNS_BY_END, TABLES, RunRow
from mobstore.scripts.transaction import Commit, Delete, DeleteRange, Get, Scan
from support.scripts import play


def test_every_table_of_runs_is_cleared() -> None:
    asked, commit = play(delete_run(ID), (RUN,))
    assert asked == [(Get(RUNS, (ID,)),)]
    assert commit.result is True
    assert set(map(repr, commit.writes)) == {
        repr(Delete(table, (ID,)) if table.key == ("run_id",) else DeleteRange(Scan(table, (ID,))))
        for table in TABLES
        if "run_id" in table.key
    }


def test_a_missing_run() -> None:
    assert ended(delete_run(ID), (None,)) == Commit(False)


def test_prune_by_end_and_status() -> None:
    other = RUN._replace(run_id="00000000-0000-4000-8000-000000000000")
    asked, commit = play(prune_runs(NOW, ["canceled", "failed"]), ([other], [RUN]))
    assert asked == [
        tuple(
            Scan(RUNS_BY_END, (status,), after="", before=NOW) for status in ("canceled", "failed")
        )
    ]
    assert commit.result == 2
    assert Delete(RUNS, (ID,)) in commit.writes
    assert Delete(RUNS, (other.run_id,)) in commit.writes


def test_prune_the_first_few_of_all_statuses() -> None:
    def ended_at(n: int) -> RunRow:
        return RUN._replace(run_id=f"{9 - n}", completed_at=f"{NOW}{n}")

    rows = [ended_at(1), ended_at(4)], [ended_at(2), ended_at(3)]
    asked, commit = play(prune_runs(NOW, ["canceled", "failed"], 2), rows)
    assert [(scan.prefix, scan.limit) for scan in asked[0]] == [
        (("canceled",), 2),
        (("failed",), 2),
    ]
    assert commit.result == 2
    gone = [
        write.key for write in commit.writes if isinstance(write, Delete) and write.table is RUNS
    ]
    assert gone == [("8",), ("7",)]


def test_prune_nothing() -> None:
    assert ended(prune_runs(NOW, ["failed"]), ([],)) == Commit(0)
    assert ended(prune_runs(NOW, []), ()) == Commit(0)
