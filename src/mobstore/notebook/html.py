"""`html_of`: the display of a value."""

from __future__ import annotations

from mobstore.model.definition import MobDefinition
from mobstore.model.display import Displayed
from mobstore.model.event import MobEvent
from mobstore.model.overview import Overview
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.run import MobRun
from mobstore.notebook import definitions, records, runs, stores
from mobstore.notebook.markup import Markup, complete_display
from mobstore.notebook.tabular import Listing
from mobstore.stores.mob_stores import MobStores


def html_of(value: Displayed) -> str:
    """Return the HTML of a value: one complete element without scripts.

    Raises:
        TypeError: values of this type have no display.
    """
    return complete_display(_content(value))


def _content(value: Displayed) -> Markup:
    match value:
        case MobRun():
            return runs.run(value)
        case MobEvent():
            return records.event(value)
        case MobDefinition():
            return definitions.definition(value)
        case StoredRealmProfile():
            return records.profile(value)
        case Listing():
            return records.listing(value)
        case MobStores():
            return stores.stores(value)
        case Overview():
            return stores.overview(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no display")
