"""Every public record reads what it writes, and has a JSON schema."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias, cast

import pytest
from pydantic import Field, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema

import mobstore
from mobstore import (
    KernelInput,
    KernelState,
    MobEvent,
    NamedVariant,
    NewMobEvent,
    OtherEvent,
    Overview,
    Profile,
    Record,
    Timestamp,
    event_kind_from_json,
)
from mobstore.model.event import EVENT_KINDS
from mobstore.model.tagged_union import TaggedUnion
from mobstore.testing.samples import event, state, timestamp
from support.records import PUBLIC, RECORDS

Mode: TypeAlias = Literal["validation", "serialization"]
MODES: tuple[Mode, ...] = ("validation", "serialization")
SAMPLES: dict[type[Any], list[Any]] = defaultdict(list)
for one in RECORDS:
    SAMPLES[type(one)].append(one)
VALUES: tuple[KernelInput, ...] = (True, 1, "", NamedVariant("E", "v"), [1], {1}, {"a": 1}, None)
SAMPLES[KernelState] = [
    KernelState("", {str(n): value for n, value in enumerate(VALUES)}),
    state(1),
]
SAMPLES[Timestamp] = [timestamp(0)]
ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in SAMPLES}


def is_of_another_kind(record: object) -> bool:
    return isinstance(record, (MobEvent, NewMobEvent)) and isinstance(record.kind, OtherEvent)


def schema_of(kind: Any, mode: Mode) -> dict[str, Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return adapter.json_schema(mode=mode)


def validator_class() -> Any:
    return pytest.importorskip("jsonschema", reason="nbformat brings it").Draft202012Validator


def test_there_is_a_sample_of_every_record() -> None:
    assert {type(record) for record in RECORDS} == PUBLIC


def test_every_record_reads_what_it_writes() -> None:
    for record in RECORDS:
        if not is_of_another_kind(record):  # models read none, like the reference
            assert type(record).from_json(record.to_json()) == record


def test_an_overview_reads_what_it_writes() -> None:
    async def of_a_store() -> Overview:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append(event())
            return await stores.overview()

    overview = asyncio.run(of_a_store())
    assert overview.identity is not None
    assert Overview.from_json(overview.to_json()) == overview


def one_description() -> tuple[dict[tuple[type[Any], Mode], dict[str, Any]], dict[str, Any]]:
    """Return the schemas of all, and what they share, as the description of a web service has."""
    found, shared = TypeAdapter.json_schemas(
        [(kind.__name__, mode, adapter) for kind, adapter in ADAPTERS.items() for mode in MODES]
    )
    return {(kind, mode): found[kind.__name__, mode] for kind in ADAPTERS for mode in MODES}, shared


def test_every_record_has_a_schema() -> None:
    _, shared = one_description()
    names = {name.partition("-")[0] for name in shared["$defs"]}
    assert names == {kind.__name__ for kind in PUBLIC}
    for kind in PUBLIC - {OtherEvent}:
        name = kind.__name__
        schema = shared["$defs"].get(name) or shared["$defs"][f"{name}-Output"]
        required = {key for key, field in kind.model_fields.items() if field.is_required()}
        assert set(schema.get("required", ())) == required
        assert set(schema["properties"]) == set(kind.model_fields)


def discriminators(schema: object) -> Iterator[dict[str, Any]]:
    """Yield the discriminators in a schema."""
    if isinstance(schema, dict):
        parts = cast("dict[str, Any]", schema)
        if "mapping" in parts:
            yield parts
        yield from discriminators(list(parts.values()))
    elif isinstance(schema, (list, tuple)):
        for part in cast("list[object]", schema):
            yield from discriminators(part)


def test_discriminators_map_to_names_as_web_frameworks_demand() -> None:
    found = list(discriminators(one_description()))
    assert {one["propertyName"] for one in found} == {"type", "op", "kind", "source", "mode"}
    assert {type(name) for one in found for name in one["mapping"].values()} == {str}


@pytest.mark.slow
def test_what_records_write_conforms_to_their_schemas() -> None:
    schemas, shared = one_description()
    validator = validator_class()
    validator.check_schema({**shared, "anyOf": list(schemas.values())})
    for (kind, mode), schema in schemas.items():
        checker = validator({**shared, **schema})
        for record in SAMPLES[kind]:
            if mode == "serialization" or not (kind is OtherEvent or is_of_another_kind(record)):
                checker.validate(json.loads(ADAPTERS[kind].dump_json(record)))


@pytest.mark.parametrize("mode", MODES)
def test_the_schemas_of_types_without_fields(mode: Mode) -> None:
    assert schema_of(Timestamp, mode) == {"type": "string", "format": "date-time"}
    assert schema_of(Profile, mode)["properties"]["provider_params"] == {
        "default": None, "title": "Provider Params",
    }  # fmt: skip
    validator = validator_class()(schema_of(KernelState, mode))
    whole = {"phase": "Running", "fields": {"n": {"type": "u64", "value": 1}}}
    assert validator.is_valid(whole)
    wrong_ones: tuple[Any, ...] = (
        "Running",
        {"phase": "Running"},
        {"fields": {}},
        {**whole, "phase": 1},
        {**whole, "fields": {"n": 1}},
        {**whole, "fields": {"n": {"value": 1}}},
        {**whole, "fields": {"n": {"type": "i64", "value": 1}}},
    )
    for wrong in wrong_ones:
        assert not validator.is_valid(wrong)


@pytest.mark.parametrize("model", [MobEvent, NewMobEvent], ids=lambda model: model.__name__)
def test_the_schema_of_an_event_has_all_kinds(model: type[Record]) -> None:
    read, written = (schema_of(model, mode)["properties"]["kind"] for mode in MODES)
    assert read["discriminator"]["propertyName"] == "type"
    assert set(read["discriminator"]["mapping"]) == set(EVENT_KINDS.models)
    assert written["anyOf"][0]["discriminator"] == read["discriminator"]
    assert written["anyOf"][1:] == [{"$ref": "#/$defs/OtherEvent"}]
    assert schema_of(OtherEvent, "serialization")["required"] == ["type"]


def test_only_a_json_schema_builds_the_kinds_that_do_not_occur() -> None:
    built: list[str] = []

    class Kind(Record):
        @classmethod
        def __get_pydantic_core_schema__(
            cls, source: Any, handler: GetCoreSchemaHandler
        ) -> CoreSchema:
            built.append(cls.__name__)
            return handler(source)

    class One(Kind):
        type: Literal["one"] = "one"

    class Two(Kind):
        type: Literal["two"] = "two"

    class Three(Kind):
        type: Literal["three"] = "three"
        more: str

    kinds: Any = Annotated[One | Two | Three, Field(discriminator="type")]

    class Holder(Record):
        kind: Annotated[One | Two | Three, TaggedUnion[One | Two | Three](kinds)]

    text = '{"kind":{"type":"one"}}'
    assert Holder.from_json(text).to_json() == text
    assert set(built) == {"One", "Two"}  # a union has two at least
    for mode in MODES:
        schema = schema_of(Holder, mode)
        assert set(schema["$defs"]) == {"One", "Two", "Three"}
        assert len(schema["properties"]["kind"]["oneOf"]) == 3


def test_a_union_with_other_events_still_reads_known_kinds() -> None:
    """An OtherEvent that pydantic read from its own JSON would win, having more fields."""
    either: TypeAdapter[object] = TypeAdapter(mobstore.MobEventKind | OtherEvent)
    text = '{"type":"mob_reset"}'
    assert either.validate_json(text) == event_kind_from_json(text)
