"""What shows what."""

from __future__ import annotations

from mobstore.model.definition import MobDefinition
from mobstore.model.display import Displayed
from mobstore.model.event import MobEvent
from mobstore.model.overview import Overview
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.run import MobRun
from mobstore.notebook import definitions, records, runs, stores
from mobstore.notebook.markup import Markup, whole
from mobstore.notebook.tabular import Listing
from mobstore.stores.mob_stores import MobStores


def html_of(shown: Displayed) -> str:
    """The HTML of something that can be shown: one element, complete, without scripts.

    Raises:
        TypeError: nothing here knows how to show it.
    """
    return whole(_content(shown))


def _content(shown: Displayed) -> Markup:
    match shown:
        case MobRun():
            return runs.run(shown)
        case MobEvent():
            return records.event(shown)
        case MobDefinition():
            return definitions.definition(shown)
        case StoredRealmProfile():
            return records.profile(shown)
        case Listing():
            return records.listing(shown)
        case MobStores():
            return stores.stores(shown)
        case Overview():
            return stores.overview(shown)
        case _:
            raise TypeError(f"{type(shown).__name__} has no display")
