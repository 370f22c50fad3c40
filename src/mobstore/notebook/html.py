"""The display of a value: `html_of` for notebooks, `display_of` for pages with a strict policy."""

from __future__ import annotations

from mobstore.model.definition import MobDefinition
from mobstore.model.display import Displayed
from mobstore.model.event import MobEvent
from mobstore.model.overview import Overview
from mobstore.model.profile import StoredRealmProfile
from mobstore.model.run import MobRun
from mobstore.notebook import definitions, records, runs, stores
from mobstore.notebook.markup import Element, Markup, complete_display, to_html
from mobstore.notebook.style import STYLE
from mobstore.notebook.tabular import Listing
from mobstore.stores.mob_stores import MobStores


def html_of(value: Displayed) -> str:
    """Return the HTML of a value: one complete element without scripts.

    Raises:
        TypeError: values of this type have no display.
    """
    return to_html(display_of(value), STYLE)


def display_of(value: Displayed) -> Element:
    """Return the display of a value as elements, without `mobstore.notebook.style.STYLE`.

    A page can add the style sheet once and create the elements itself. It then needs no HTML
    parser, and no policy that allows inline styles.

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
