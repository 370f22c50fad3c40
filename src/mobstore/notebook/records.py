"""An event, a realm profile, many records as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import cast

from mobstore.model.event import MobEvent
from mobstore.model.profile import Profile, StoredRealmProfile
from mobstore.model.run import MobRun, RunHeader, StepLedgerEntry
from mobstore.model.text import count, cut
from mobstore.notebook.formatting import fields, joined, moment, named, value
from mobstore.notebook.markup import (
    Content,
    Markup,
    ends,
    facts,
    head,
    inline,
    long,
    pill,
    table,
    together,
)
from mobstore.notebook.tabular import Listing, Tabular, columns_of, fields_of

RECORDS = 40
"""Lines of a table of records: the first and the last."""
KINDS = 40
"""Types or statuses that are counted: all that are written; a damaged store may hold more."""
LONGEST_DETAILS = 60
"""Characters of what has no column of its own; the tooltip has more."""


def event(shown: MobEvent) -> Markup:
    """An event with all that its type tells."""
    told = fields_of(shown.kind)
    title = str(told.pop("type")).replace("_", " ")
    where = f"event {shown.cursor:,}"
    return together(
        head(where, title),
        facts([("mob", named(shown.mob_id)), ("at", moment(shown.timestamp))]),
        rest(told),
    )


def profile(shown: StoredRealmProfile) -> Markup:
    """A realm profile."""
    told = fields_of(shown.profile)
    return together(
        head("realm profile", named(shown.name), inline("quiet", f"revision {shown.revision}")),
        facts([("created", moment(shown.created_at)), ("updated", moment(shown.updated_at))]),
        rest({**told, "tools": tools(shown.profile)}),
    )


def rest(told: dict[str, object]) -> Markup:
    """Fields with their values, without those that are empty or off."""
    return facts(
        (name.replace("_", " "), value(part, 200))
        for name, part in told.items()
        if not _says_nothing(part)
    )


def _says_nothing(part: object) -> bool:
    return part is False or part in (None, "", [], {})  # a zero says something


def listing(shown: Listing) -> Markup:
    """Records as a table; its columns are those of `to_dicts` that hold something."""
    records = shown.records
    first, _, last = ends(records, RECORDS)
    flat = [columns_of(record) for record in (*first, *last)]
    held = {name for one in flat for name, part in one.items() if not _says_nothing(part)}
    mob = _only_mob(records)
    if mob is not None:
        held.discard("mob_id")
    columns = [name for name in dict.fromkeys(name for one in flat for name in one) if name in held]

    def row(record: Tabular) -> list[Content]:
        one = columns_of(record)
        return [_cell(name, one.get(name), first=name == columns[0]) for name in columns]

    words = [name.replace("_", " ") for name in columns]
    return together(
        head("", count(len(records), "record")),
        None if mob is None else facts([("mob", named(mob))]),
        facts(_frequent(records)),
        table(words, records, row, most=RECORDS, noun="record") if records else None,
    )


def _cell(name: str, of: object, *, first: bool) -> Content:
    if isinstance(of, dict):
        told = fields(cast("dict[str, object]", of))
        return inline("quiet", cut(told, LONGEST_DETAILS), title=told)
    if name == "run_id" and isinstance(of, str) and not first:
        return inline("quiet", f"{of[:8]}…", title=of)
    return pill(str(of)) if name == "status" else long(value(of))


def _only_mob(records: Sequence[Tabular]) -> str | None:
    """The mob that all of these are of, if there is one."""
    mobs = {
        record.mob_id if isinstance(record, (MobEvent, MobRun, RunHeader)) else None
        for record in records
    }
    return mobs.pop() if len(mobs) == 1 else None


def _frequent(records: Sequence[Tabular]) -> list[tuple[str, str]]:
    """How many records there are of each type or status, the most frequent ones first."""
    words: Counter[str] = Counter(
        record.kind.type if isinstance(record, MobEvent) else record.status
        for record in records
        if isinstance(record, (MobEvent, MobRun, RunHeader, StepLedgerEntry))
    )
    most = [(word, f"{number:,}") for word, number in words.most_common(KINDS)]
    others = len(words) - KINDS
    return [*most, (f"and {others:,} others", "…")] if others > 0 else most


def tools(of: Profile) -> str:
    """What its members may use, by name."""
    allowed = [name for name, part in fields_of(of.tools).items() if part is True]
    return joined([*allowed, *of.tools.mcp, *of.tools.rust_bundles])
