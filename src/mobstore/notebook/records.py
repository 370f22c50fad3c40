"""Displays of an event, of a realm profile, and of many records as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import cast

from mobstore.model.event import MobEvent
from mobstore.model.profile import Profile, StoredRealmProfile
from mobstore.model.run import MobRun, RunHeader, StepLedgerEntry
from mobstore.model.text import count, cut
from mobstore.notebook.formatting import (
    format_fields,
    format_names,
    format_time,
    format_value,
    name_text,
)
from mobstore.notebook.markup import (
    Content,
    Markup,
    badge,
    cell_text,
    facts,
    first_and_last,
    heading,
    inline,
    join,
    omission,
    table,
)
from mobstore.notebook.tabular import Listing, Tabular, columns_of, fields_of

FIELDS = 40
"""Fields of a record: all that mobstore knows; another event may have more."""
RECORDS = 40
"""Rows of a table of records: the first and the last."""
KINDS = 40
"""Types or statuses that are counted: all that mobstore writes; a corrupt store may hold more."""
LONGEST_DETAILS = 60
"""Characters of the fields without a column of their own; the tooltip has more."""


def event(record: MobEvent) -> Markup:
    """Show an event with all fields of its type."""
    fields = fields_of(record.kind)
    title = str(fields.pop("type")).replace("_", " ")
    return join(
        heading(f"event {record.cursor:,}", title),
        facts([("mob", name_text(record.mob_id)), ("at", format_time(record.timestamp))]),
        field_list(fields),
    )


def profile(stored: StoredRealmProfile) -> Markup:
    """Show a realm profile."""
    name, revision = name_text(stored.name), inline("quiet", f"revision {stored.revision}")
    created, updated = format_time(stored.created_at), format_time(stored.updated_at)
    return join(
        heading("realm profile", name, revision),
        facts([("created", created), ("updated", updated)]),
        field_list({**fields_of(stored.profile), "tools": tools(stored.profile)}),
    )


def field_list(fields: dict[str, object]) -> Markup:
    """Show fields with their values, without those that are empty or off."""
    filled = [(name, value) for name, value in fields.items() if not _is_empty(value)]
    first, omitted, last = first_and_last(filled, FIELDS)
    return join(
        facts(
            (name.replace("_", " "), format_value(value, 200)) for name, value in (*first, *last)
        ),
        omission(omitted, "field"),
    )


def _is_empty(value: object) -> bool:
    return value is False or value in (None, "", [], {})  # a zero is information


def listing(records_listed: Listing) -> Markup:
    """Show records as a table with those columns of `to_dicts` that are not empty."""
    records = records_listed.records
    first, _, last = first_and_last(records, RECORDS)
    flat = [columns_of(record) for record in (*first, *last)]
    filled = {name for one in flat for name, value in one.items() if not _is_empty(value)}
    mob = _only_mob(records)
    if mob is not None:
        filled.discard("mob_id")
    all_names = dict.fromkeys(name for one in flat for name in one)
    columns = [name for name in all_names if name in filled]

    def row(record: Tabular) -> list[Content]:
        one = columns_of(record)
        return [_cell(name, one.get(name), first=name == columns[0]) for name in columns]

    words = [name.replace("_", " ") for name in columns]
    return join(
        heading("", count(len(records), "record")),
        None if mob is None else facts([("mob", name_text(mob))]),
        facts(_frequent(records)),
        table(words, records, row, most=RECORDS, noun="record") if records else None,
    )


def _cell(name: str, value: object, *, first: bool) -> Content:
    if isinstance(value, dict):
        text = format_fields(cast("dict[str, object]", value))
        return inline("quiet", cut(text, LONGEST_DETAILS), title=text)
    if name == "run_id" and isinstance(value, str) and not first:
        return inline("quiet", f"{value[:8]}…", title=value)
    return badge(str(value)) if name == "status" else cell_text(format_value(value))


def _only_mob(records: Sequence[Tabular]) -> str | None:
    """Return the mob of all these records, if it is the same."""
    mobs = {
        record.mob_id if isinstance(record, (MobEvent, MobRun, RunHeader)) else None
        for record in records
    }
    return mobs.pop() if len(mobs) == 1 else None


def _frequent(records: Sequence[Tabular]) -> list[tuple[str, str]]:
    """Return the number of records of each type or status, the most frequent ones first."""
    words: Counter[str] = Counter(
        record.kind.type if isinstance(record, MobEvent) else record.status
        for record in records
        if isinstance(record, (MobEvent, MobRun, RunHeader, StepLedgerEntry))
    )
    most = [(word, f"{number:,}") for word, number in words.most_common(KINDS)]
    others = len(words) - KINDS
    return [*most, (f"and {others:,} others", "…")] if others > 0 else most


def tools(profile: Profile) -> str:
    """Return the names of the tools that members of a profile may use."""
    allowed = [name for name, value in fields_of(profile.tools).items() if value is True]
    return format_names([*allowed, *profile.tools.mcp, *profile.tools.rust_bundles])
