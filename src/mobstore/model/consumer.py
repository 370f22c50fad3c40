"""Named consumers of the event log."""

from mobstore.model.record import U64, Record
from mobstore.model.timestamp import Timestamp


class Consumer(Record):
    """A named consumer of the event log, and its position.

    Attributes:
        name: the name.
        cursor: the position: it is done with the events up to this cursor.
        updated_at: when the position was stored, by the store's clock.
    """

    name: str
    cursor: U64
    updated_at: Timestamp
