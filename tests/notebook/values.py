"""One value for each display, with the same text in all its fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mobstore import (
    ConsumerOverview,
    Listing,
    MobId,
    MobOverview,
    Overview,
    StepFailed,
    StepId,
    StoredRealmProfile,
    TaskCreated,
    TaskId,
)
from mobstore.model.display import Displayed
from mobstore.testing.samples import (
    definition,
    failure,
    frame,
    full_run,
    iteration,
    loop,
    run_id,
    step,
    stored_event,
    stored_profile,
)

HOSTILE = "</style></div><script>stolen()</script><img src=x onerror='stolen()' title=\"\">"
"""HTML that is harmless as text."""


_OF_NOTEBOOKS = "_repr_html_"


def html(shown: Displayed) -> str:
    """Return the HTML that a notebook shows."""
    method: Callable[[], str] = getattr(shown, _OF_NOTEBOOKS)
    return method()


def a_run(text: str) -> Displayed:
    return full_run(
        mob=text,
        flow=text,
        activation_params={text: text},
        step_ledger=(step(text, text), step(text, text, "completed", text, 10)),
        failure_ledger=(failure(text, text),),
        frames={text: frame(1)},
        loops={text: loop(1)},
        loop_iteration_ledger=(iteration(0, text, text),),
        root_step_outputs={text: text},
        loop_iteration_outputs={text: ({text: text},)},
    )


def a_definition(text: str) -> Displayed:
    return definition(text, text)


def an_event(text: str) -> Displayed:
    task = TaskCreated(
        task_id=TaskId(text), subject=text, description=text, blocked_by=(TaskId(text),)
    )
    return stored_event(mob=text, kind=task)


def a_profile(text: str) -> StoredRealmProfile:
    return stored_profile(text, text)


def events(text: str) -> Displayed:
    kind = StepFailed(run_id=run_id(1), step_id=StepId(text), reason=text)
    return Listing([stored_event(mob=text, kind=kind)])


def entries(text: str) -> Displayed:
    return Listing([step(text, text, output=text), failure(text, text)])


def profiles(text: str) -> Displayed:
    return Listing([a_profile(text)])


def an_overview(text: str) -> Displayed:
    mobs = (MobOverview(mob_id=MobId(text), revision=1, events=1, runs=1),)
    return Overview(
        identity=None,
        events=1,
        next_cursor=2,
        runs=1,
        specs=1,
        realm_profiles=1,
        claims=1,
        imported_from=text,
        consumers=(ConsumerOverview(name=text, cursor=1),),
        mobs=mobs,
    )


EVERYTHING: Sequence[Callable[[str], Displayed]] = (
    a_run,
    a_definition,
    an_event,
    a_profile,
    events,
    entries,
    profiles,
    an_overview,
)


def everything(text: str) -> list[Displayed]:
    return [make(text) for make in EVERYTHING]
