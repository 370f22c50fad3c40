"""Every document of the golden file is read or rejected as by the reference."""

from __future__ import annotations

import json
from typing import cast

import pytest

from mobstore import Record, SerializationError
from support import golden

VECTORS = golden.vectors()


def test_every_vector_is_here() -> None:
    assert len(VECTORS) == 267
    assert {vector.type for vector in VECTORS} == golden.READERS.keys()


@pytest.mark.parametrize(
    "vector", VECTORS, ids=[f"{n:03}-{vector.type}" for n, vector in enumerate(VECTORS)]
)
def test_vector(vector: golden.Vector) -> None:
    read = golden.READERS[vector.type]
    if vector.rewritten is None:
        with pytest.raises(SerializationError):
            read(vector.document)
        return
    value = read(vector.document)
    written = value.to_json()
    assert golden.same(golden.ordered(written), golden.ordered(vector.rewritten)), written
    if not golden.has_exponent(vector.rewritten):
        assert written == vector.rewritten
    again = read(written)
    assert again == value
    assert again.to_json() == written


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v.rewritten], ids=lambda v: v.type if v else ""
)
def test_bytes_are_read_like_text(vector: golden.Vector) -> None:
    value = golden.READERS[vector.type](vector.document)
    kind = type(value)
    if isinstance(value, Record):
        assert kind.from_json(value.to_json().encode()) == value
    else:
        assert kind.from_json(vector.document.encode()) == value


def test_key_order_of_the_reader_does_not_matter() -> None:
    for vector in VECTORS:
        if vector.rewritten is None or vector.type in {"MobDefinition", "MobRun"}:
            continue  # those two keep the order of some maps
        shuffled = json.dumps(_reversed(json.loads(vector.rewritten)))
        read = golden.READERS[vector.type]
        assert read(shuffled) == read(vector.rewritten)


def _reversed(value: object) -> object:
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {key: _reversed(item) for key, item in reversed(items)}
    if isinstance(value, list):
        return [_reversed(item) for item in cast("list[object]", value)]
    return value
