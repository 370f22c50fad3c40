"""Random scripts, and traces of their questions, answers and writes.

A script that writes also numbers itself: it reads the sequence row n, puts n + 1, and adds a row of
its own with n. So its place in the order of commits is known without trusting the engine. A script
that never yields cannot read: it leaves a mark, which all others read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from differential.choices import BATCH, LARGE_BATCH, Choices, Pool
from mobstore.errors import NotFoundError
from mobstore.scripts.tables import COUNTERS, SPECS, CounterRow, SpecRow
from mobstore.scripts.transaction import (
    Add,
    Commit,
    Get,
    LoadingScript,
    Put,
    Read,
    Scan,
    Script,
    Write,
)

Style: TypeAlias = Literal[
    "read", "glance", "write", "batch", "large", "clash", "stop", "stop first", "fail", "blind"
]
"""What a script does in the end. "glance": it asks a single question of one read and has no number;
"stop" and "fail": it raises an error of mobstore's or another one; "blind": it never yields."""

MARK = "blind "
"""The name of a blind script's mark begins with it."""
_NUMBER: Read = Get(COUNTERS, ("number",))
_MARKS: Read = Scan(COUNTERS, after=MARK, before=f"{MARK}~")


@dataclass
class Trace:
    """One run of one script.

    Attributes:
        name: the script's, unique in a scenario.
        style: what the script does.
        rounds: its questions or writes on the way, and the answers.
        writes: those of its commit; None: it ended before.
        number: how many numbered scripts had committed before it; None: it did not ask.
        marks: the blind scripts that had.
    """

    name: str
    style: Style
    rounds: list[tuple[tuple[Read | Write, ...], tuple[Any, ...]]] = field(
        default_factory=list[tuple[tuple[Read | Write, ...], tuple[Any, ...]]]
    )
    writes: tuple[Write, ...] | None = None
    number: int | None = None
    marks: frozenset[str] = frozenset()


Run: TypeAlias = list[Trace]
"""The traces of scripts that run in one transaction, one after the other; nearly always one."""


class StopError(NotFoundError):
    """The error of a script that stops."""


class FailError(Exception):
    """An error that no script should raise; one does on purpose."""


@dataclass(frozen=True)
class Writer:
    """The author of a scenario's scripts.

    Attributes:
        seed: of the scenario.
        pool: the values that scripts choose from.
        first: the sequence's number before any script has committed.
    """

    seed: int
    pool: Pool
    first: int

    def script(self, name: str, style: Style, run: Run) -> Script[Run]:
        """Make a script; its trace is appended to the run, which is its result."""
        choices = Choices(self.pool, f"{self.seed} {name}")
        trace = Trace(name, style)
        run.append(trace)
        if style == "blind":
            return self._blind(choices, trace, run)
        return self._asking(choices, trace, run)

    def loading(self, name: str, style: Style, run: Run) -> LoadingScript[Run]:
        """Make a loading script."""
        choices = Choices(self.pool, f"{self.seed} {name}")
        trace = Trace(name, style)
        run.append(trace)
        asked: list[Read | Write] = [_NUMBER, _MARKS]
        for _ in range(choices.one((2, 3, 5))):
            yield from self._round(choices, trace, asked)
            asked = []
            for _ in range(choices.one((1, 1, 2, 4))):
                asked += choices.reads(1) if choices.odds(50) else choices.writes(1)
        if style in {"stop", "stop first"}:
            raise StopError("the script has stopped")
        if style == "fail":
            raise FailError
        mine = self._numbering(trace)
        for write in (*choices.writes(2), *mine[:1]):
            yield from self._round(choices, trace, [write])
        trace.writes = mine[1:]
        return Commit(run, trace.writes)

    def _asking(self, choices: Choices, trace: Trace, run: Run) -> Script[Run]:
        if trace.style == "stop first":
            raise StopError("the script has stopped")
        if trace.style == "glance":
            asked: list[Read] = [choices.one((choices.read(), Scan(COUNTERS)))]
        else:
            asked = [*choices.reads(), _NUMBER, _MARKS]
            choices.chance.shuffle(asked)
        yield from self._round(choices, trace, asked)
        if trace.style != "glance":
            for _ in range(choices.one((0, 0, 1, 1, 2, 3))):
                yield from self._round(choices, trace, choices.reads())
        if trace.style == "stop":
            raise StopError("the script has stopped")
        if trace.style == "fail":
            raise FailError
        if trace.style in {"read", "glance"}:
            trace.writes = ()
            return Commit(run)
        writes = choices.writes()
        if trace.style in {"batch", "large"}:
            writes += choices.batch(BATCH if trace.style == "batch" else LARGE_BATCH)
        for write in self._numbering(trace):
            writes.insert(choices.chance.randint(0, len(writes)), write)
        if trace.style == "clash":
            writes += choices.clash()
        trace.writes = tuple(writes)
        return Commit(run, trace.writes)

    def _blind(self, choices: Choices, trace: Trace, run: Run) -> Script[Run]:
        mark = Put(COUNTERS, (CounterRow(f"{MARK}{trace.name}", 0),))
        trace.writes = (mark, *(write for write in choices.writes() if not isinstance(write, Add)))
        return Commit(run, trace.writes)
        yield ()  # never; but it makes this a script

    def _round(self, choices: Choices, trace: Trace, asked: list[Any]) -> Script[Any]:
        """Ask once and note the answers; a loading script may do so, too."""
        answers = yield tuple(asked)
        kept: list[Any] = [
            tuple(answer) if isinstance(one, Scan) else answer
            for one, answer in zip(asked, answers, strict=True)
        ]
        trace.rounds.append((tuple(asked), tuple(kept)))
        if len(trace.rounds) == 1 and _NUMBER in asked:
            number, marks = kept[asked.index(_NUMBER)], kept[asked.index(_MARKS)]
            trace.number = 0 if number is None else number.value - self.first
            trace.marks = frozenset(row.name.removeprefix(MARK) for row in marks)
        choices.note(asked, kept)
        return Commit(None)

    def _numbering(self, trace: Trace) -> tuple[Write, ...]:
        assert trace.number is not None
        following = self.first + trace.number + 1
        return (
            Put(COUNTERS, (CounterRow("number", following),)),
            Add(SPECS, (SpecRow(trace.name, trace.number, trace.style),)),
        )
