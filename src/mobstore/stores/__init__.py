"""The interfaces over any engine: check and encode arguments, run a script, give its result."""

from mobstore.stores.base import Clock, check_clock
from mobstore.stores.events import EngineEventStore
from mobstore.stores.realm_profiles import EngineRealmProfileStore
from mobstore.stores.runs import EngineRunStore
from mobstore.stores.specs import EngineSpecStore

__all__ = [
    "Clock",
    "EngineEventStore",
    "EngineRealmProfileStore",
    "EngineRunStore",
    "EngineSpecStore",
    "check_clock",
]
