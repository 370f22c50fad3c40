"""What shows what."""

from __future__ import annotations

from mobstore.bundles.base import MobStores
from mobstore.dicts import Listing
from mobstore.displays import definitions, records, runs, stores
from mobstore.displays.markup import Markup, whole
from mobstore.model.definition import MobDefinition
from mobstore.model.event import MobEvent
from mobstore.model.overview import Overview
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.run import MobRun
from mobstore.model.shown import Shown


def html_of(shown: Shown) -> str:
    """The HTML of something that can be shown: one element, complete, without scripts.

    Raises:
        TypeError: nothing here knows how to show it.
    """
    return whole(_content(shown))


def _content(shown: Shown) -> Markup:
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
