"""Records as text, to send them from one process to another."""

from __future__ import annotations

import base64
import io
import pickle
from typing import Any, cast

from mobstore.scripts.tables import TABLES, Index


def _name(index: Index[Any]) -> str:
    return f"{index.table.name}.{index.name}"


_INDEXES: dict[str, Index[Any]] = {
    _name(index): index for table in TABLES for index in (table, *table.indexes)
}


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> str | None:
        """Name tables and indexes, which are compared by identity."""
        return _name(cast("Index[Any]", obj)) if isinstance(obj, Index) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Index[Any]:
        return _INDEXES[pid]


def pack(value: object) -> str:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return base64.b64encode(file.getvalue()).decode()


def unpack(text: str) -> Any:
    return _Unpickler(io.BytesIO(base64.b64decode(text))).load()
