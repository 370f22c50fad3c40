"""Replay of all answers on the model, in the order of the commits.

The order is known without trusting the engine: a script that writes has a number of its own, and a
script that only reads has read the last number. A blind script has none: its commit is between the
last script that did not see its mark and the first that did.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

from differential.model import AllRows, Clash, Model, show
from differential.scenario import Record
from differential.scripts import MARK, Run, Trace
from mobstore.errors import WriteFailedError
from mobstore.scripts.tables import COUNTERS, SPECS
from mobstore.scripts.transaction import Count, Get, Now, Read, Scan


class DifferenceError(AssertionError):
    """The engine and the model disagree."""


@dataclass(frozen=True)
class _Commit:
    """Scripts that became visible at the same time.

    Attributes:
        record: the call.
        run: its traces.
        number: the number of numbered scripts that had committed before.
        numbered: the number of traces that are numbered.
    """

    record: Record
    run: Run
    number: int
    numbered: int

    @property
    def marks(self) -> set[str]:
        """The blind scripts that are visible after it."""
        return {trace.name for trace in self.run if trace.style == "blind"} | self.run[0].marks


_States: TypeAlias = list[Model]
"""The possible states: where no script came between blind scripts, any order of them is."""


def check(records: Sequence[Record], start: AllRows, final: AllRows, first: int) -> list[int]:
    """Compare all answers and the final state with the model's.

    Args:
        records: all calls.
        start: all rows of the new store.
        final: all rows at the end.
        first: the sequence number before the first script.

    Returns:
        The positions of the commits, in order.

    Raises:
        DifferenceError: something differs.
    """
    replay = _Replay(records, final, first)
    replay.run(Model.holding(start))
    return replay.places


class _Replay:
    def __init__(self, records: Sequence[Record], final: AllRows, first: int) -> None:
        self._final = final
        counters = {row[0]: cast("int", row[1]) for row in final[COUNTERS.name, COUNTERS.name]}
        self._last = counters.get("number", first) - first
        self._numbers = {row[0]: cast("int", row[1]) for row in final[SPECS.name, SPECS.name]}
        self._marked = {name.removeprefix(MARK) for name in map(str, counters) if MARK in name}
        self._commits: list[_Commit] = []
        self._blind: dict[str, Trace] = {}
        self._readers: dict[int, list[tuple[Record, Run]]] = {}
        self._glances: list[tuple[Record, Trace]] = []
        self._history: list[tuple[int, Model]] = []
        for record in records:
            self._classify(record)
        self._commits.sort(key=lambda commit: commit.number)

    @property
    def places(self) -> list[int]:
        return [commit.record.place for commit in self._commits]

    def _classify(self, record: Record) -> None:
        """Find the writes of a call in the final state, and keep them for the replay."""
        names = {trace.name for run in record.runs for trace in run}
        rows, marks = names & self._numbers.keys(), names & self._marked
        if record.status == "returned":
            run = cast("Run", record.run)
        elif record.status == "cancelled":
            if not rows and not marks:
                return
            run = self._committed(record, rows)
        else:
            _require(not rows and not marks, "raised, but wrote", record)
            run = record.runs[-1] if record.runs else []
            if run and run[0].number is not None:
                self._readers.setdefault(run[0].number, []).append((record, run))
            return
        wrote = {trace.name for trace in run if trace.writes and trace.style != "blind"}
        _require(wrote == rows, "committed, but its row is missing", record)
        blind = {trace.name for trace in run if trace.style == "blind"}
        _require(blind == marks, "committed, but its mark is missing", record)
        if wrote:
            number = min(self._numbers[name] for name in wrote)
            self._commits.append(_Commit(record, run, number, len(wrote)))
        elif blind:
            self._blind[run[0].name] = run[0]
        elif run[0].number is not None:
            self._readers.setdefault(run[0].number, []).append((record, run))
        elif run[0].style == "glance":
            self._glances.append((record, run[0]))

    def _committed(self, record: Record, rows: set[Any]) -> Run:
        """Return the run of a cancelled call that committed anyway."""
        numbers = {name: self._numbers[name] for name in rows}
        for run in reversed(record.runs):
            found = {t.name: t.number for t in run if t.writes and t.style != "blind"}
            if found == numbers and run and run[-1].writes is not None:
                return run
        raise DifferenceError(f"cancelled, and part of it was written\n{_lines(record)}")

    # The replay ----------------------------------------------------------------------------------

    def run(self, start: Model) -> None:
        """Replay everything from the first state on."""
        self._check_order()
        states: _States = [start]
        number, marks = 0, set[str]()
        for commit in self._commits:
            states = self._between(states, number, marks, set(commit.run[0].marks))
            states = _narrow(states, partial(self._applied, commit), commit.record)
            number, marks = number + commit.numbered, commit.marks
        states = self._between(states, number, marks, self._marked)
        _require(not self._readers, f"numbers were read that were never written: {self._readers}")
        wrong = [state.wrong_final(self._final) for state in states]
        _require(None in wrong, f"the final state differs: {wrong[0]}")
        self._check_glances()

    def _check_order(self) -> None:
        number = 0
        for commit in self._commits:
            at = (commit.number, commit.run[0].number)
            _require(at == (number, number), f"commit {number} has the numbers {at}", commit.record)
            number += commit.numbered
        _require(number == self._last, f"{number} scripts committed, {self._last} are counted")
        _require(len(self._numbers) == number, "there is a row of a script that did not commit")
        for one, other in itertools.product(self._commits, repeat=2):
            late = _precedes(one.record, other.record) and one.number > other.number
            _require(not late, f"commits before {one.record.name}, which precedes it", other.record)
        for number, readers in self._readers.items():
            for record, _ in readers:
                least, most = self._possible(record)
                _require(least <= number <= most, f"{number} < {least} or > {most}", record)

    def _possible(self, record: Record) -> tuple[int, int]:
        """Return the least and the most commits that a call can see, from its start and end."""
        seen = [c.number + c.numbered for c in self._commits if _precedes(c.record, record)]
        unseen = [c.number for c in self._commits if _precedes(record, c.record)]
        return max(seen, default=0), min(unseen, default=self._last)

    def _between(self, states: _States, number: int, marks: set[str], last: set[str]) -> _States:
        """Check reads of the state after this many commits, while blind scripts change it."""
        readers = self._readers.pop(number, [])
        stages = {frozenset(run[0].marks) for _, run in readers} | {frozenset(last)}
        before = frozenset(marks)
        for stage in sorted(stages | {before}, key=len):
            _require(
                before <= stage <= last,
                f"blind scripts are visible in two orders at {number}: {before}, {stage}, {last}",
            )
            states = self._after_blind(states, number, stage - before)
            before = stage
            for record, run in readers:
                if run[0].marks == stage:
                    found = _Commit(record, run, number, 0)
                    states = _narrow(states, partial(self._read, found), record)
        return states

    def _after_blind(self, states: _States, number: int, new: Iterable[str]) -> _States:
        """Return the states after blind scripts between the same two commits."""
        following: _States = []
        for state in states:
            for order in itertools.permutations(sorted(new)):
                changed = state.copy()
                self._history.append((number, state))
                for name in order:
                    changed.apply(self._blind[name].writes or ())
                    self._history.append((number, changed.copy()))
                if all(other.tables != changed.tables for other in following):
                    following.append(changed)
        return following

    def _check_glances(self) -> None:
        """Check a single read: without a number, it must be right at some time during the call."""
        for record, trace in self._glances:
            ((asked, answers),) = trace.rounds
            least, most = self._possible(record)
            wrong = [
                state.wrong(cast("Read", asked[0]), answers[0])
                for number, state in self._history
                if least <= number <= most
            ]
            _require(None in wrong, f"saw no state from {least} to {most}: {wrong[:1]}", record)

    def _read(self, commit: _Commit, state: Model) -> Model:
        """Return the same state, checked against the answers of a run that wrote nothing."""
        self._applied(commit, state)
        return state

    def _applied(self, commit: _Commit, state: Model) -> Model:
        """Return the state after a run, checked against its answers."""
        state, record = state.copy(), commit.record
        clashes: list[Clash] = []
        for trace in commit.run:
            if clashes:
                break  # an atomic call need not notice it before its end
            for asked, answers in trace.rounds:
                for one, answer in zip(asked, answers, strict=True):
                    if isinstance(one, (Get, Scan, Count, Now)):
                        wrong = state.wrong(one, answer)
                        _require(wrong is None, f"{trace.name} got a wrong answer: {wrong}")
                    else:
                        clashes += state.apply((one,))
            clashes += state.apply(trace.writes or ())
        if record.status == "clashed":
            # Unprintable characters are escaped.
            expected = [WriteFailedError(str(clash)).detail for clash in clashes]
            named = any(text in record.message for text in expected)
            _require(named, f"{record.message}; expected one of {expected}")
        elif record.status != "raised":
            _require(not clashes, f"must have failed: {clashes}")
        return state


def _narrow(states: _States, follow: Callable[[Model], Model], record: Record) -> _States:
    """Return the states that follow from the possible ones.

    Raises:
        DifferenceError: none does.
    """
    following: _States = []
    wrong: list[DifferenceError] = []
    for state in states:
        try:
            following.append(follow(state))
        except DifferenceError as difference:
            wrong.append(difference)
    if not following:
        raise DifferenceError(f"{wrong[0]}\n{_lines(record)}")
    return following


def _precedes(one: Record, other: Record) -> bool:
    return one.place == other.place and one.ended is not None and one.ended < other.started


def _require(holds: bool, otherwise: str, record: Record | None = None) -> None:
    if not holds:
        raise DifferenceError(f"{otherwise}\n{_lines(record)}" if record else otherwise)


def _lines(record: Record) -> str:
    """Return a record in lines."""
    lines = [f"{record.name}: {record.way} {record.styles} {record.status} {record.message}"]
    for run in record.runs[-2:]:
        lines.append(f" run of {len(run)}")
        for trace in run:
            lines.append(f"  {trace.name} {trace.style} at {trace.number} {sorted(trace.marks)}")
            for asked, answers in trace.rounds:
                pairs = zip(asked, answers, strict=True)
                lines += [f"    {show(one)} -> {answer!r:.200}" for one, answer in pairs]
            lines += [f"    writes {show(write)}" for write in trace.writes or ()]
    return "\n".join(lines)
