"""The cases, by what they are about. Importing this registers them all."""

from mobstore.testing.cases import (
    cancellation,
    concurrency,
    copies,
    durability,
    events,
    ledgers,
    outputs,
    profiles,
    runs,
    specs,
    status,
    text,
    transactions,
    values,
    wrappers,
)

__all__ = [
    "cancellation",
    "concurrency",
    "copies",
    "durability",
    "events",
    "ledgers",
    "outputs",
    "profiles",
    "runs",
    "specs",
    "status",
    "text",
    "transactions",
    "values",
    "wrappers",
]
