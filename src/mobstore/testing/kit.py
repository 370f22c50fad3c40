"""Cases, running them, and reporting their outcomes; independent of any engine.

A case is a plain async function that checks one rule of the contract. It has a permanent id, its
rule as docstring, and a message on every assertion, because outside pytest no tool adds one. It
never sleeps and never depends on which engine it tests.
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
_SHOWN = 400  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class Case:
    """One rule and the function that checks it.

    Attributes:
        id: permanent and dotted, such as `runs.flow-state.one-winner`.
        rule: the rule, in a sentence.
        needs: the capabilities without which it is skipped.
        function: checks the rule; call it with a subject of its own.
    """

    id: str
    rule: str
    needs: frozenset[Capability]
    function: CaseFunction

    def missing(self, subject: Subject) -> tuple[Capability, ...]:
        """Return the needed capabilities that the subject does not declare."""
        return tuple(sorted(self.needs - subject.capabilities))


_registered: dict[str, Case] = {}


def case(case_id: str, *, needs: Iterable[Capability] = ()) -> Callable[[CaseFunction], Case]:
    """Register a function as a case. No id is registered twice: cases cannot be overridden.

    Raises:
        ValueError: the id is malformed or taken, the rule is missing, or a capability is unknown.
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
    """Return all cases by id, in the order in which their modules declare them."""
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
        raised = error
    except Exception as error:
        raise AssertionError(f"{what}: want {kind.__name__}, got {error!r}") from error
    else:
        raise AssertionError(f"{what}: want {kind.__name__}, got the result {_show(result)}")
    if text is not None:
        same(str(raised), text, f"{what}: text of the error")
    return raised


def _show(value: object, unlike: object = None) -> str:
    """Return the value's text; of a long one, the part where it differs from the other's."""
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
    """The outcome of one case.

    Attributes:
        case: the case.
        status: passed, failed or skipped.
        message: why it failed, or the capabilities that are missing.
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
    """The outcomes of all cases.

    Attributes:
        outcomes: one for each selected case.
        required: patterns of the ids that had to run.
    """

    outcomes: tuple[Outcome, ...]
    required: tuple[str, ...] = ()

    def of(self, status: Status) -> list[str]:
        """Return the ids of the cases with this status."""
        return [outcome.case.id for outcome in self.outcomes if outcome.status == status]

    @property
    def problems(self) -> list[str]:
        """The reasons for which the subject did not pass, one a line; empty if it passed."""
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
        """True if the subject passed all selected and required cases."""
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
        timeout: seconds after which a hanging case has failed.
    """
    try:
        subject = make_subject()
        # A misspelt capability would silently skip its cases.
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
    except Exception as error:  # noqa: BLE001 - any error of an engine belongs in the report
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
        only: patterns of the ids to run, as in `fnmatch`.
        required: patterns of the ids that must not be skipped, such as `durable.*`; each must
            match a case.
        timeout: seconds after which a hanging case has failed.
        progress: receives each outcome as soon as the case has run.
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
    """Return the subject named `package.module:attribute`: a class or a function that makes one.

    Raises:
        ValueError: the name is malformed, or nothing callable has this name.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"a subject is named package.module:attribute, not {name!r}")
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no subject {name}: {error}") from error
    if not callable(found):
        raise ValueError(  # noqa: TRY004 - one error for every unusable name
            f"{name} makes no subjects: it is not callable"
        )
    return cast("SubjectFactory", found)
