"""Stores, and what they hold."""

from __future__ import annotations

from mobstore.model.overview import MobOverview, Overview
from mobstore.notebook.formatting import named
from mobstore.notebook.markup import Markup, block, element, facts, head, inline, table, together
from mobstore.stores.mob_stores import MobStores

MOBS = 40
"""Mobs in a table: the first and the last."""

_CALLS = (
    ("await stores.overview()", "how much they hold"),
    ("await stores.events.poll(0, 100)", "the first events"),
    ("await stores.runs.list_runs(mob_id)", "the runs of a mob"),
    ("await stores.specs.list_specs()", "the mobs that have a spec"),
    ("await stores.realm_profiles.list()", "the profiles of the realm"),
)


def stores(shown: MobStores) -> Markup:
    """Which stores these are, and what to await: a display cannot read them."""
    return together(
        head("stores", type(shown).__name__, inline("quiet", f"on {shown.engine!r}")),
        *(
            block("fact", element("code", call), " ", inline("quiet", what))
            for call, what in _CALLS
        ),
    )


def overview(shown: Overview) -> Markup:
    """How much stores hold."""

    def row(mob: MobOverview) -> tuple[str, ...]:
        revision = "-" if mob.revision is None else str(mob.revision)
        return named(mob.mob_id), revision, f"{mob.events:,}", f"{mob.runs:,}"

    columns = ("mob", "revision", "events", "runs")
    return together(
        head("", "what the stores hold"),
        facts(
            [
                ("identity", "-" if shown.identity is None else str(shown.identity)),
                ("events", f"{shown.events:,}"),
                ("next cursor", f"{shown.next_cursor:,}"),
                ("runs", f"{shown.runs:,}"),
                ("specs", f"{shown.specs:,}"),
                ("realm profiles", f"{shown.realm_profiles:,}"),
            ]
        ),
        table(columns, shown.mobs, row, most=MOBS, noun="mob") if shown.mobs else None,
    )
