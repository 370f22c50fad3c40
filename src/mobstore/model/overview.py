"""Overviews: the number of each kind of record in a store."""

from mobstore.model.display import Displayed
from mobstore.model.ids import MobId
from mobstore.model.record import Array, OptionalUuid, Record
from mobstore.model.text import count


class MobOverview(Record):
    """The number of records of one mob; `revision` is its spec's, None without one."""

    mob_id: MobId
    revision: int | None
    events: int
    runs: int


class ConsumerOverview(Record):
    """The position of a named consumer: the cursor of the last event that it is done with."""

    name: str
    cursor: int


class Overview(Displayed, Record):
    """The number of records in a store.

    Attributes:
        identity: the identity of this store; None where it is missing or unreadable.
        events: events in the log.
        next_cursor: the cursor of the next event.
        runs: runs of all mobs.
        specs: mobs that have a spec.
        realm_profiles: profiles of the realm.
        claims: claims that are held, on runs and on other names, including expired ones.
        consumers: the named consumers, by name.
        imported_from: the releases of meerkat-mob after 0.5.2 that wrote some of the content, such
            as "0.7"; the store is for reading then, and cannot be exported to meerkat-mob. None if
            there are none.
        mobs: the mobs that have a spec, an event or a run, by id.
    """

    identity: OptionalUuid
    events: int
    next_cursor: int
    runs: int
    specs: int
    realm_profiles: int
    claims: int
    imported_from: str | None
    consumers: Array[ConsumerOverview]
    mobs: Array[MobOverview]

    def __repr__(self) -> str:
        return (
            f"<Overview {count(len(self.mobs), 'mob')}, {count(self.events, 'event')},"
            f" {count(self.runs, 'run')}, {count(self.specs, 'spec')},"
            f" {count(self.realm_profiles, 'realm profile')}>"
        )

    __str__ = __repr__
