"""What a case is, how cases run, and what is reported of them; knows no engine.

A case is a plain async function that shows one rule of the contract to be kept or broken. It has a
permanent id, its rule as docstring and a message on every assertion, because outside pytest nobody
rewrites them. It never sleeps and never asks which engine it tests.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar, cast

from mobstore.testing.subject import CAPABILITIES, Capability, Subject

E = TypeVar("E", bound=Exception)

CaseFunction: TypeAlias = Callable[[Subject], Awaitable[None]]
SubjectFactory: TypeAlias = Callable[[], Subject]
Status: TypeAlias = Literal["passed", "failed", "skipped"]

_ID = re.compile(r"[a-z]+(\.[a-z][a-z-]*)+")
_SHOWN = 400  # characters of a value that a message quotes


@dataclass(frozen=True, slots=True)
class Case:
    """One rule and the function that checks it.

    Attributes:
        id: permanent and dotted, such as `runs.flow-state.one-winner`.
        rule: what must hold, in a sentence.
        needs: the capabilities without which it is skipped.
        function: checks the rule; call it with a subject of its own.
    """

    id: str
    rule: str
    needs: frozenset[Capability]
    function: CaseFunction

    def missing(self, subject: Subject) -> tuple[Capability, ...]:
        """The needed capabilities that the subject does not declare."""
        return tuple(sorted(self.needs - subject.capabilities))


_registered: dict[str, Case] = {}


def case(case_id: str, *, needs: Iterable[Capability] = ()) -> Callable[[CaseFunction], Case]:
    """Register a function as a case. No id can be registered twice: cases are not overridable.

    Raises:
        ValueError: the id is malformed or taken, the rule is missing, a capability unknown.
    """

    def register(function: CaseFunction) -> Case:
        rule = " ".join((function.__doc__ or "").split())
        made = Case(case_id, rule, frozenset(needs), function)
        if not _ID.fullmatch(case_id) or case_id in _registered:
            raise ValueError(f"case id {case_id!r} is malformed or taken")
        if not rule:
            raise ValueError(f"case {case_id} states no rule in its docstring")
        if made.needs - CAPABILITIES:
            raise ValueError(f"case {case_id} needs an unknown capability")
        _registered[case_id] = made
        return made

    return register


def all_cases() -> MappingProxyType[str, Case]:
    """All cases by id, in the order in which their modules declare them."""
    importlib.import_module("mobstore.testing.cases")
    return MappingProxyType(_registered)


# Assertions that several cases need ------------------------------------------------------------


def same(got: object, want: object, what: str) -> None:
    """Assert equality in type and value, naming what was compared."""
    assert type(got) is type(want), f"{what}: want {_show(want)}, got {_show(got)}"
    assert got == want, f"{what}: want {_show(want, got)}, got {_show(got, want)}"


async def expect_error(
    kind: type[E], call: Awaitable[object], what: str, text: str | None = None
) -> E:
    """Assert that a call raises an error of this kind and, if given, exactly this text."""
    try:
        result = await call
    except kind as error:
        refusal = error
    except Exception as error:
        raise AssertionError(f"{what}: want {kind.__name__}, got {error!r}") from error
    else:
        raise AssertionError(f"{what}: want {kind.__name__}, got the result {_show(result)}")
    if text is not None:
        same(str(refusal), text, f"{what}: text of the error")
    return refusal


def _show(value: object, unlike: object = None) -> str:
    """The value's text; of a long one the part where it begins to differ from the other's."""
    shown, against = repr(value), repr(unlike)
    if len(shown) <= _SHOWN:
        return shown
    pairs = enumerate(zip(shown, against, strict=False))
    differing = (n for n, (one, other) in pairs if one != other)
    start = max(0, next(differing, 0) - _SHOWN // 4)
    stop = start + _SHOWN
    return f"{'...' if start else ''}{shown[start:stop]}{'...' if stop < len(shown) else ''}"


# Running and reporting -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case.

    Attributes:
        case: the case.
        status: passed, failed or skipped.
        message: why it failed, or which capabilities it was skipped for.
        trace: where it failed, as Python prints it.
    """

    case: Case
    status: Status
    message: str = ""
    trace: str = ""

    def __str__(self) -> str:
        reason = f": {self.message}" if self.message else ""
        return f"{self.status:7} {self.case.id}{reason}"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all cases.

    Attributes:
        outcomes: one for each case that was asked for.
        required: patterns of the ids that had to run.
    """

    outcomes: tuple[Outcome, ...]
    required: tuple[str, ...] = ()

    def of(self, status: Status) -> list[str]:
        """The ids of the cases with this status."""
        return [outcome.case.id for outcome in self.outcomes if outcome.status == status]

    @property
    def problems(self) -> list[str]:
        """Why the subject did not pass, a line for each reason; empty if it did."""
        ran = self.of("passed") + self.of("failed")
        found = [str(outcome) for outcome in self.outcomes if outcome.status == "failed"]
        if not ran:
            found.append("no case was run")
        for pattern in self.required:
            skipped = [name for name in self.of("skipped") if fnmatchcase(name, pattern)]
            found.extend(f"required case skipped: {name}" for name in skipped)
            if not skipped and not any(fnmatchcase(name, pattern) for name in ran):
                found.append(f"required, but there is no such case: {pattern}")
        return found

    @property
    def ok(self) -> bool:
        """Whether the subject keeps the contract as far as it was asked."""
        return not self.problems

    def __str__(self) -> str:
        counts = ", ".join(
            f"{len(self.of(status))} {status}" for status in ("passed", "failed", "skipped")
        )
        lines = [str(outcome) for outcome in self.outcomes if outcome.status != "passed"]
        lines.extend(problem for problem in self.problems if problem not in lines)
        return "\n".join([*lines, counts])


async def run_case(one: Case, make_subject: SubjectFactory, *, timeout: float = 60) -> Outcome:
    """Run one case on a subject of its own, which is closed afterwards.

    Args:
        one: the case.
        make_subject: makes a subject without data.
        timeout: seconds after which a case that hangs has failed.
    """
    try:
        subject = make_subject()
        # A misspelt capability would skip its cases without a word.
        unknown = subject.capabilities - CAPABILITIES
        assert not unknown, f"unknown capabilities: {', '.join(sorted(unknown))}"
        if missing := one.missing(subject):
            await subject.close()
            return Outcome(one, "skipped", f"needs {', '.join(missing)}")
        async with asyncio.timeout(timeout):
            try:
                await one.function(subject)
            finally:
                await subject.close()
    except AssertionError as error:
        return Outcome(one, "failed", str(error), traceback.format_exc())
    except TimeoutError:
        return Outcome(one, "failed", f"not done after {timeout} s", traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - whatever an engine raises belongs in the report
        return Outcome(one, "failed", f"{type(error).__name__}: {error}", traceback.format_exc())
    return Outcome(one, "passed")


async def run_cases(
    make_subject: SubjectFactory,
    *,
    only: Sequence[str] = ("*",),
    required: Sequence[str] = (),
    timeout: float = 60,
    progress: Callable[[Outcome], None] | None = None,
) -> Report:
    """Run the contract on a store, one case after the other.

    Args:
        make_subject: makes a subject without data; called for every case.
        only: patterns of the ids to run, as of `fnmatch`.
        required: patterns of the ids that must not be skipped, such as `durable.*`; each must
            find a case.
        timeout: seconds after which a case that hangs has failed.
        progress: is told each outcome at once.
    """
    if not __debug__:
        raise RuntimeError("cases are asserts, which python -O leaves out; run without it")
    outcomes: list[Outcome] = []
    for one in all_cases().values():
        if any(fnmatchcase(one.id, pattern) for pattern in only):
            outcomes.append(await run_case(one, make_subject, timeout=timeout))
            if progress is not None:
                progress(outcomes[-1])
    return Report(tuple(outcomes), tuple(required))


def find_subject(name: str) -> SubjectFactory:
    """The subject that `package.module:attribute` names: a class, or a function that makes one.

    Raises:
        ValueError: the name is malformed, or there is nothing callable under it.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"a subject is named package.module:attribute, not {name!r}")
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no subject {name}: {error}") from error
    if not callable(found):
        raise ValueError(  # noqa: TRY004 - one error for a name that is no use, whatever the reason
            f"{name} makes no subjects: it cannot be called"
        )
    return cast("SubjectFactory", found)
