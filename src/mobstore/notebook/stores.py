"""Displays of stores and of what they contain."""

from __future__ import annotations

from mobstore.model.overview import MobOverview, Overview
from mobstore.notebook.formatting import name_text
from mobstore.notebook.markup import Markup, block, element, facts, heading, inline, join, table
from mobstore.stores.mob_stores import MobStores

MOBS = 40
"""Mobs in a table: the first and the last."""

_CALLS = (
    ("await stores.overview()", "what they contain"),
    ("await stores.events.poll(0, 100)", "the first events"),
    ("await stores.runs.list_runs(mob_id)", "the runs of a mob"),
    ("await stores.specs.list_specs()", "the mobs that have a spec"),
    ("await stores.realm_profiles.list()", "the realm profiles"),
)


def stores(opened: MobStores) -> Markup:
    """Name the stores and the calls that read them: a display cannot await."""
    return join(
        heading("stores", type(opened).__name__, inline("quiet", f"on {opened.engine!r}")),
        *(
            block("fact", element("code", call), " ", inline("quiet", result))
            for call, result in _CALLS
        ),
    )


def overview(counts: Overview) -> Markup:
    """Show how much stores contain."""

    def row(mob: MobOverview) -> tuple[str, ...]:
        revision = "-" if mob.revision is None else str(mob.revision)
        return name_text(mob.mob_id), revision, f"{mob.events:,}", f"{mob.runs:,}"

    columns = ("mob", "revision", "events", "runs")
    return join(
        heading("", "what the stores contain"),
        facts(
            [
                ("identity", "-" if counts.identity is None else str(counts.identity)),
                ("events", f"{counts.events:,}"),
                ("next cursor", f"{counts.next_cursor:,}"),
                ("runs", f"{counts.runs:,}"),
                ("specs", f"{counts.specs:,}"),
                ("realm profiles", f"{counts.realm_profiles:,}"),
                ("claims", f"{counts.claims:,}"),
            ]
        ),
        table(
            ("consumer", "cursor"),
            counts.consumers,
            lambda one: (name_text(one.name), f"{one.cursor:,}"),
            most=MOBS,
            noun="consumer",
        )
        if counts.consumers
        else None,
        table(columns, counts.mobs, row, most=MOBS, noun="mob") if counts.mobs else None,
    )
