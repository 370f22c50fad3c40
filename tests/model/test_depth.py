"""Nesting: the same limit in every model, and the slow ways where pydantic stops earlier.

Pydantic goes deep enough here, so the slow ways are called directly and compared with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st
from pydantic import TypeAdapter

import mobstore
from mobstore import (
    ConditionExpr,
    ConditionNot,
    FlowNodeId,
    FlowSpec,
    FrameSnapshot,
    FrameSpec,
    KernelState,
    LoopId,
    MobEventKind,
    Profile,
    Record,
    RepeatUntilSpec,
    SerializationError,
)
from mobstore.model.extent import nested_deeper
from mobstore.model.json import copy_json, encode_json, parse, write_deep
from mobstore.model.record import decode, json_form, validate
from support import golden

VECTORS = golden.vectors()
LEAF = '{"op":"eq","path":"p","value":1}'
# A document around a repeated part, the innermost part, and how often the part fits.
REPEATING: dict[str, tuple[Any, str, str, str, str, str, int]] = {
    "not": (ConditionExpr, "", '{"op":"not","expr":', LEAF, "}", "", 126),
    "and": (ConditionExpr, "", '{"op":"and","exprs":[', LEAF, "]}", "", 63),
    "or": (ConditionExpr, "", '{"op":"or","exprs":[', LEAF, "]}", "", 63),
    "frames": (
        FlowSpec,
        '{"description":null,"steps":{},"root":',
        '{"nodes":{"n":{"kind":"repeat_until","loop_id":"l","depends_on":[],'
        '"depends_on_mode":"all","body":',
        '{"nodes":{}}',
        f',"until":{LEAF},"max_iterations":1}}}}}}',
        "}",
        41,
    ),
    "kernel state": (
        FrameSnapshot,
        '{"kernel_state":{"phase":"P","fields":{"f":',
        '{"type":"seq","items":[',
        '{"type":"none"}',
        "]}",
        "}}}",
        61,
    ),
    "free JSON": (
        MobEventKind,
        '{"type":"flow_started","run_id":"00000000-0000-0000-0000-000000000001",'
        '"flow_id":"f","params":',
        '{"k":[',
        "1.5",
        "]}",
        "}",
        63,
    ),
}


def record_of(vector: golden.Vector) -> Record | KernelState:
    return golden.READERS[vector.type](vector.document)


def has_a_key_twice(document: str) -> bool:
    found: list[bool] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        found.append(len(dict(pairs)) < len(pairs))

    json.loads(document, object_pairs_hook=note)
    return any(found)


@pytest.mark.parametrize("name", REPEATING)
def test_bound(name: str) -> None:
    kind, head, opening, inner, closing, tail, fits = REPEATING[name]

    def document(times: int) -> str:
        return head + opening * times + inner + closing * times + tail

    text = document(fits)
    record: Record = decode(kind, text)
    assert record.to_json() == text
    assert write_deep(record, json_form) == text
    assert TypeAdapter(kind).validate_json(write_deep(parse(text))) == record
    with pytest.raises(SerializationError):
        decode(kind, document(fits + 1))


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.rewritten], ids=lambda v: v.type)
def test_what_the_slow_writer_writes(vector: golden.Vector) -> None:
    record = record_of(vector)
    assert write_deep(record, json_form) == record.to_json()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.type)
def test_what_is_read_the_slow_way(vector: golden.Vector) -> None:
    kinds: dict[str, Any] = {"KernelState": KernelState, "MobEventKind": MobEventKind}
    kind = kinds.get(vector.type) or getattr(mobstore, vector.type)

    def read() -> Record | KernelState:
        return cast(
            "Record | KernelState",
            TypeAdapter(kind).validate_json(write_deep(parse(vector.document))),
        )

    # The one difference: a duplicate key is rejected in maps and free JSON, too.
    if vector.rewritten is None or has_a_key_twice(vector.document):
        with pytest.raises((SerializationError, ValueError)):
            read()
    else:
        record = read()
        assert record == record_of(vector)
        assert record.to_json() == record_of(vector).to_json()


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8")),
)
keys = st.text(st.characters(codec="utf-8"), max_size=4)


@pytest.mark.slow
@given(
    st.recursive(
        scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=9
    )
)
def test_the_slow_writer_writes_free_json(value: Any) -> None:
    assert write_deep(copy_json(value)) == encode_json(value)


@pytest.mark.parametrize("text", ["\ufffd", "a\ufffdb\U0001f40c"])
def test_replacement_characters_that_were_meant(text: str) -> None:
    record = Profile(model=text, provider_params={text: [1e16, 1e-7, text]})
    written = record.__pydantic_serializer__.to_json(record)
    assert record.to_json_bytes() == written
    assert Profile.from_json(written) == record


def test_nan_that_nobody_checked_is_null() -> None:
    record = Profile(model="\ufffd").model_copy(update={"provider_params": [float("nan")]})
    assert record.to_json_bytes() == record.__pydantic_serializer__.to_json(record)


def nested_conditions(times: int) -> Record:
    condition: ConditionExpr = mobstore.ConditionEq(path="p", value=1)
    for _ in range(times):
        condition = ConditionNot(expr=condition)
    return condition


def nested_loops(times: int) -> Record:
    frame = FrameSpec(nodes={})
    for _ in range(times):
        loop = RepeatUntilSpec(
            loop_id=LoopId("l"),
            depends_on=(),
            depends_on_mode="all",
            body=frame,
            until=mobstore.ConditionEq(path="p", value=1),
            max_iterations=1,
        )
        frame = FrameSpec(nodes={FlowNodeId("n"): loop})
    return frame


def test_writing_ends_at_the_same_depth_everywhere() -> None:
    assert nested_conditions(254).to_json().count('{"op":"not","expr":') == 254
    with pytest.raises(SerializationError):
        nested_conditions(255).to_json()


@pytest.mark.parametrize("nested", [nested_conditions, nested_loops])
@pytest.mark.parametrize("times", [128, 200, 300])
def test_writing_too_many_levels_takes_no_time(nested: Callable[[int], Record], times: int) -> None:
    with suppress(SerializationError):
        nested(times).to_json()


def test_circles_are_refused() -> None:
    circle: list[Any] = []
    circle += [circle, circle]
    with pytest.raises(SerializationError):
        Profile(model="m").model_copy(update={"provider_params": circle}).to_json()
    condition: dict[str, Any] = {"op": "not"}
    condition["expr"] = condition
    with pytest.raises(SerializationError):
        validate(ConditionNot, condition)


def test_objects_deeper_than_any_document_are_refused() -> None:
    condition: dict[str, Any] = {"op": "eq", "path": "p", "value": 1}
    for _ in range(300):
        condition = {"op": "not", "expr": condition}
    with pytest.raises(SerializationError):
        validate(ConditionNot, condition)


@pytest.mark.parametrize("document", ["[" * 100_000, '{"a":' * 100_000, "]" + "[{" * 50_000])
def test_what_is_never_closed_counts_as_deep(document: str) -> None:
    assert nested_deeper(document.encode())
    with pytest.raises(SerializationError, match="nested deeper than 127 levels"):
        parse(document)
