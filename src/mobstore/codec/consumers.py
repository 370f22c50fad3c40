"""Consumers from rows."""

from __future__ import annotations

from mobstore.codec.decoding import naming_unreadable_rows, stored_number, stored_text
from mobstore.model.consumer import Consumer
from mobstore.model.timestamp import Timestamp
from mobstore.scripts.tables import ConsumerRow


def read_consumer(row: ConsumerRow) -> Consumer:
    """Decode a consumer.

    Raises:
        SerializationError: it cannot be read.
    """
    with naming_unreadable_rows("consumer", row.name):
        return Consumer.assemble(
            {
                "name": stored_text(row.name),
                "cursor": stored_number(row.cursor),
                "updated_at": Timestamp.from_sortable(row.updated_at),
            }
        )
