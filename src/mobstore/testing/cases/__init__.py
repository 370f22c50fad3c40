"""The cases, by what they are about. Importing this registers them all."""

from mobstore.testing.cases import (
    concurrency,
    copies,
    durability,
    events,
    ledgers,
    outputs,
    profiles,
    runs,
    specs,
    transactions,
    values,
    wrappers,
)

__all__ = [
    "concurrency",
    "copies",
    "durability",
    "events",
    "ledgers",
    "outputs",
    "profiles",
    "runs",
    "specs",
    "transactions",
    "values",
    "wrappers",
]
