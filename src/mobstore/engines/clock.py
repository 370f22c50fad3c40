"""The machine's clock, by which engines without a server answer `Now`."""

from __future__ import annotations

from mobstore.model.timestamp import Timestamp


def machine_time() -> str:
    """Return the time as sortable text."""
    return Timestamp.now().sortable
