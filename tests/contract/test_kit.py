"""The kit itself: it covers the interfaces, catches broken stores, and never passes by silence."""

from __future__ import annotations

import asyncio
import fnmatch
import inspect
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest

import mobstore
from contract import broken
from mobstore import MobStores
from mobstore.engines.memory import MemoryEngine
from mobstore.model.event import MobEventKind
from mobstore.testing import (
    Capability,
    Case,
    MemorySubject,
    Report,
    SqliteSubject,
    Subject,
    SubjectFactory,
    all_cases,
    find_subject,
    run_case,
    run_cases,
)
from mobstore.testing.kinds import every_kind
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import BY_CODE_POINT, timestamp
from mobstore.testing.subject import CAPABILITIES

# What breaks, and the cases that must notice; others may notice too.
CATCHES: dict[str, tuple[SubjectFactory, set[str]]] = {
    "lost update": (broken.on(broken.LostUpdate), {
        "runs.flow-state.one-winner", "concurrent.runs.increments", "concurrent.runs.parts",
        "concurrent.runs.ledgers", "concurrent.runs.create", "concurrent.events.cursors",
        "concurrent.specs.one-winner", "concurrent.profiles.one-winner", "engine.write.one-by-one",
    }),
    "lost update in a store": (broken.WithUnlockedFlowState, {
        "runs.flow-state.one-winner", "concurrent.runs.increments",
    }),
    "half visible": (broken.on(broken.HalfVisible), {
        "concurrent.reads.one-state", "cancel.batch.all-or-none", "cancel.run.all-or-none",
        "engine.write.one-by-one",
    }),
    "half commit": (broken.holding(broken.HalfCommit), {
        "runs.wrappers.all-or-none", "runs.create.round-trip", "runs.claim-next.order",
        "events.append.assigns-cursors", "events.batch.consecutive", "runs.outputs.frame",
    }),
    "load in part": (broken.on(broken.LoadsInPart), {"engine.load.all-or-none"}),
    "aliased runs": (broken.WithAliasedRuns, {"copies.arguments.runs", "copies.results.runs"}),
    "aliased events": (broken.WithCachedEvents, {
        "copies.results.events", "events.other.corrupt",
    }),
    "arguments read late": (broken.WithLateArguments, {"copies.arguments.begun"}),
    "backwards": (broken.holding(broken.Backwards), {
        "events.append.assigns-cursors", "events.replay.all", "runs.list.order",
        "runs.list.filter", "engine.scan.bounds",
    }),
    "numbers as text": (broken.holding(broken.NumbersAsText), {
        "runs.steps.many", "engine.scan.order",
    }),
    "order by UTF-16": (broken.holding(broken.OrderByUtf16), {
        "specs.list.order", "profiles.list.order", "engine.scan.order",
    }),
    "reused cursor": (broken.holding(broken.ReusedCursor), {
        "events.clear.keeps-cursors", "events.prune.keeps-cursors", "events.latest-cursor",
        "events.subscribe.catches-up", "events.poll.stale", "events.follow.removed",
        "events.follow.stale", "events.append.key.ends", "events.prune.before-cursor",
        "events.first-cursor",
    }),
    "inclusive bounds": (broken.holding(broken.InclusiveBounds), {
        "events.poll.bounds", "events.poll.order", "engine.scan.bounds",
    }),
    "cut at NUL": (broken.holding(broken.CutsAtNul), {
        "values.text.names", "values.text.in-runs", "runs.list.filter", "runs.frames.create-only",
    }),
    "normalised text": (broken.holding(broken.Normalises), {
        "values.text.names", "values.text.in-runs", "claims.acquire",
    }),
    "microseconds": (broken.holding(broken.Microseconds), {
        "events.prune.strict", "events.append.keeps-time", "events.append.store-time",
    }),
    "reused epochs": (broken.holding(broken.ReusedEpoch), {
        "claims.epochs", "claims.atomic", "runs.claim-next.once",
    }),
    "a due time too late": (broken.holding(broken.LateDueTimes), {
        "claims.expiry", "runs.claim-next.order",
    }),
    "forgotten deletes": (broken.holding(broken.ForgetsDeletes), {
        "specs.delete.revision", "profiles.delete.revision", "engine.scan.indexes",
    }),
    "whole prefixes only": (broken.holding(broken.WholePrefixesOnly), {"engine.scan.values"}),
    "never closed": (broken.on(broken.NeverClosed), {"engine.close.refuses"}),
    "foreign errors": (broken.on(broken.Failing), {"store.open.empty", "events.poll.range"}),
    "atomic one by one": (broken.WithOneByOne, {
        "atomic.none", "atomic.refused", "atomic.one-by-one", "atomic.awaits",
        "atomic.event-loop", "callers.atomic",
    }),
    "a clock of its own": (broken.WithOwnClock, {
        "events.append.store-time", "profiles.update.revisions", "runs.status.completed-at",
        "engine.now.clock",
    }),
    "not durable": (broken.on(MemoryEngine, "durable"), {
        "durable.reopen.everything", "durable.reopen.changes", "durable.reopen.cursors",
        "durable.reopen.order", "durable.close.keeps", "durable.reopen.identity",
        "claims.reopened", "events.follow.continues",
    }),
    "not shared": (broken.on(MemoryEngine, "shared"), {
        "shared.second.sees", "shared.second.one-winner", "shared.second.cursors",
        "shared.identity",
    }),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CATCHES)
def test_a_broken_store_is_caught(name: str) -> None:
    subject, catching = CATCHES[name]
    report = asyncio.run(run_cases(subject, only=sorted(catching), timeout=3))
    assert set(report.of("failed")) == catching, str(report)


@pytest.mark.slow
def test_a_deaf_store_is_caught() -> None:
    subject = broken.on(broken.Deaf)
    names = [*fnmatch.filter(all_cases(), "events.subscribe.*"), "runs.watch"]
    names += fnmatch.filter(all_cases(), "engine.listen.*")
    names += ["claims.keep.lost", "runs.claims"]

    async def passed(*, timeout: float, names: Iterable[str]) -> set[str]:
        """Run cases at once, as most of them wait for a commit until their time is up."""
        outcomes = await asyncio.gather(
            *(run_case(all_cases()[name], subject, timeout=timeout) for name in names)
        )
        return {outcome.case.id for outcome in outcomes if outcome.status == "passed"}

    # These do not depend on notifications.
    alone = {"events.subscribe.catches-up", "events.subscribe.leaving"}
    assert asyncio.run(passed(timeout=1, names=names)) <= alone
    assert asyncio.run(passed(timeout=60, names=alone)) == alone


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["reused cursor", "aliased events", "normalised text", "not durable"]
)
def test_a_narrow_fault_fails_no_other_case(name: str) -> None:
    subject, catching = CATCHES[name]  # these fail: see above
    slow = {"limits.values"}  # more than half of the time; none of these faults depends on sizes
    others = [case_id for case_id in all_cases() if case_id not in catching | slow]
    report = asyncio.run(run_cases(subject, only=others))
    assert not report.of("failed"), str(report)


def test_every_case_that_the_stores_name_exists() -> None:
    named: set[str] = set()
    for interface in (
        mobstore.MobEventStore,
        mobstore.MobRunStore,
        mobstore.MobSpecStore,
        mobstore.RealmProfileStore,
        mobstore.ClaimStore,
    ):
        for name, method in inspect.getmembers(interface, inspect.isfunction):
            if not name.startswith("_"):
                found = re.search(r"Contract:([^\n]*(?:\n[^\n]+)*)", inspect.getdoc(method) or "")
                assert found, f"{interface.__name__}.{name} names no case"
                named.update(re.findall(r"[a-z]+(?:\.[a-z-]+)+", found[1]))
    assert len(named) > 40
    assert named <= set(all_cases())


def test_cases_have_a_rule_and_a_message_on_each_assertion() -> None:
    import ast

    for one in all_cases().values():
        assert one.rule.endswith("."), one.id
        assert one.needs <= CAPABILITIES
        assert inspect.iscoroutinefunction(one.function), one.id
    for path in Path(inspect.getfile(run_case)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Assert) or node.msg, f"{path.name}:{node.lineno}"


def test_cases_cannot_be_registered_twice_or_without_a_rule() -> None:
    async def ruled(subject: Subject) -> None:
        """A rule."""

    async def unruled(subject: Subject) -> None: ...

    misspelt: Any = ["durably"]
    for bad_id in ("events.append.keeps-time", "Upper.case", "alone", "a..b", ""):
        with pytest.raises(ValueError, match="case id"):
            case(bad_id)(ruled)
    with pytest.raises(ValueError, match="no rule"):
        case("kit.un-ruled")(unruled)
    with pytest.raises(ValueError, match="capability"):
        case("kit.misspelt", needs=misspelt)(ruled)
    assert not [name for name in all_cases() if name.startswith("kit.")]
    cases: Any = all_cases()
    with pytest.raises(TypeError):
        cases["events.append.keeps-time"] = None


def test_no_case_run_is_a_failure() -> None:
    report = asyncio.run(run_cases(MemorySubject, only=["nothing.*"]))
    assert report == Report(())
    assert (report.ok, report.problems) == (False, ["no case was run"])
    report = asyncio.run(run_cases(MemorySubject, only=["durable.*"]))
    assert not report.of("passed")
    assert "no case was run" in report.problems


def test_a_required_case_that_is_skipped_is_a_failure() -> None:
    def run(*required: str) -> Report:
        only = ["store.*", "durable.reopen.order"]
        return asyncio.run(run_cases(MemorySubject, only=only, required=required))

    assert run().ok
    assert run("store.*").ok
    report = run("durable.*")
    assert report.problems == ["required case skipped: durable.reopen.order"]
    assert "skipped durable.reopen.order: needs durable" in str(report)
    assert run("misspelt.*").problems == ["required, but there is no such case: misspelt.*"]


def test_a_misspelt_capability_is_a_failure() -> None:
    misspelt: Any = "durble"
    report = asyncio.run(run_cases(broken.on(MemoryEngine, misspelt), only=["store.*"]))
    assert [outcome.message for outcome in report.outcomes] == ["unknown capabilities: durble"]


def test_failures_carry_message_and_trace() -> None:
    async def hang(_: Subject) -> None:
        await asyncio.Event().wait()

    async def wrong(_: Subject) -> None:
        same([1] * 1000, [1] * 900 + [2], "the numbers")

    async def raising(_: Subject) -> None:
        raise KeyError("k")

    async def undeclared(subject: Subject) -> None:
        await subject.open()
        await subject.reopen()

    def outcome(function: Any) -> str:
        made = Case("kit.case", "A rule.", frozenset(), function)
        got = asyncio.run(run_case(made, MemorySubject, timeout=0.01))
        assert got.status == "failed"
        assert function.__name__ in got.trace
        assert len(got.message) < 1500
        return got.message

    assert outcome(hang) == "not done after 0.01 s"
    assert outcome(wrong).startswith("the numbers: want ...")
    assert "2]" in outcome(wrong)
    assert outcome(raising) == "KeyError: 'k'"
    assert "does not declare: durable" in outcome(undeclared)


def test_a_subject_that_cannot_open_or_close_fails() -> None:
    class Unopened(Subject):
        async def connect(self) -> MobStores:
            raise OSError("no such place")

    class Unremoved(MemorySubject):
        async def remove(self) -> None:
            raise OSError("still in use")

    def unmade() -> Subject:
        raise OSError("nothing to be had")

    for make, message in (
        (Unopened, "OSError: no such place"),
        (Unremoved, "OSError: still in use"),
        (unmade, "OSError: nothing to be had"),
    ):
        report = asyncio.run(run_cases(make, only=["store.*"]))
        assert [outcome.message for outcome in report.outcomes] == [message]


def test_every_case_gets_a_subject_of_its_own_which_is_closed() -> None:
    made: list[Subject] = []
    removed: list[Subject] = []

    class Counting(MemorySubject):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        async def remove(self) -> None:
            removed.append(self)

    told: list[str] = []
    report = asyncio.run(
        run_cases(Counting, only=["specs.*"], progress=lambda one: told.append(one.case.id))
    )
    assert report.ok, str(report)
    assert len(made) == len(set(map(id, made))) == len(report.outcomes)
    assert removed == made
    assert told == [outcome.case.id for outcome in report.outcomes]


def test_refused_tells_what_came_instead() -> None:
    async def check() -> None:
        async def give() -> int:
            return 3

        async def fail() -> None:
            raise OSError("driver")

        with pytest.raises(AssertionError, match="call: want ValueError, got the result 3"):
            await expect_error(ValueError, give(), "call")
        with pytest.raises(AssertionError, match=r"call: want ValueError, got OSError\('driver'\)"):
            await expect_error(ValueError, fail(), "call")
        with pytest.raises(AssertionError, match="text of the error"):
            await expect_error(OSError, fail(), "call", "other text")
        assert str(await expect_error(OSError, fail(), "call", "driver")) == "driver"

    asyncio.run(check())


def test_same_compares_types_too() -> None:
    pairs: list[tuple[object, object]] = [(1, True), (1, 1.0), ("a", ("a",)), ("a", "b"), (None, 0)]
    for got, want in pairs:
        with pytest.raises(AssertionError, match="what: want"):
            same(got, want, "what")
    same([1], [1], "what")


def test_samples_are_what_they_say() -> None:
    assert sorted(BY_CODE_POINT) == list(BY_CODE_POINT)
    assert sorted(BY_CODE_POINT, key=lambda text: text.encode("utf-16-be")) != list(BY_CODE_POINT)
    assert timestamp(-1) < timestamp(0) < timestamp(1) < timestamp(10**9)
    assert str(timestamp(1)) == "2026-03-04T05:06:07.000000001Z"
    kinds = get_args(get_args(MobEventKind)[0])
    assert {type(kind) for kind in every_kind()} == set(kinds)


def test_subjects_are_found_by_name() -> None:
    assert find_subject("mobstore.testing:SqliteSubject") is SqliteSubject
    for bad in ("", "mobstore.testing", "mobstore.testing:", ":x", "nowhere:X", "mobstore:Nope"):
        with pytest.raises(ValueError, match="subject"):
            find_subject(bad)
    with pytest.raises(ValueError, match="is not callable"):
        find_subject("mobstore.testing:CAPABILITIES")


def test_the_shipped_sqlite_subject_runs_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = asyncio.run(
        run_cases(SqliteSubject, only=["store.*", "durable.*"], required=["durable.*"])
    )
    assert report.ok, str(report)
    assert list(tmp_path.iterdir()) == []
    assert SqliteSubject.capabilities == frozenset[Capability](("durable", "shared"))


@pytest.mark.slow
def test_it_needs_neither_pytest_nor_sqlite() -> None:
    # A page that runs Pyodide has neither.
    script = (
        "import sys; sys.modules['pytest'] = sys.modules['sqlite3'] = None\n"
        "import asyncio, mobstore.testing as t\n"
        "report = asyncio.run(t.run_cases(t.MemorySubject, only=['store.*']))\n"
        "assert report.ok, report"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
