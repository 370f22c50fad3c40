"""The union of kinds whose schemas are built on demand equals the union of all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from mobstore.model.event import (
    EVENT_KINDS,
    FlowStarted,
    MobCreated,
    MobEventKind,
    MobReset,
    StepFailed,
)
from mobstore.model.json import parse
from mobstore.model.record import Record
from mobstore.model.tagged_union import TaggedUnion
from mobstore.testing.kinds import every_kind


class Plain(Record):
    kind: MobEventKind


class OnDemand(Record):
    kind: Annotated[MobEventKind, TaggedUnion[MobEventKind](MobEventKind)]


class OwnReset(MobReset):
    pass


WRONG: tuple[Any, ...] = (None, 1, "", [], {}, "mob_reset")


def documents() -> Iterable[Any]:
    """Yield the documents of all kinds, and wrong ones for each part of them."""
    for kind in every_kind():
        document = json.loads(kind.to_json())
        yield document
        for name in document:
            yield {key: value for key, value in document.items() if key != name}
            for wrong in WRONG:
                yield {**document, name: wrong}
    yield from (None, 1, "mob_reset", [], {}, {"type": 1}, {"type": []}, {"type": "?"})


DOCUMENTS: list[Any] = list(documents())
ADAPTER: TypeAdapter[MobEventKind] = TypeAdapter(MobEventKind)


def outcome(read: Any, *arguments: Any) -> object:
    """Return the value, or all that an error says; the place is of the outer model."""
    try:
        return read(*arguments)
    except ValidationError as error:
        return error.errors(include_url=True)


def test_the_documents_are_good_and_bad() -> None:
    found = (outcome(ADAPTER.validate_python, one) for one in DOCUMENTS)
    wrong: list[bool] = [not isinstance(one, Record) for one in found]
    assert 100 < sum(wrong) < len(wrong) - 40


@pytest.mark.parametrize("mode", ["python", "json"])
def test_fields_have_the_values_and_errors_of_the_union(mode: str) -> None:
    for document in DOCUMENTS:
        expected, found = (
            outcome(one.model_validate, {"kind": parse(json.dumps(document))})
            if mode == "python"
            else outcome(one.model_validate_json, json.dumps({"kind": document}))
            for one in (Plain, OnDemand)
        )
        if isinstance(expected, Plain):
            assert isinstance(found, OnDemand), document
            assert found.kind == expected.kind, document
            assert found.to_json() == expected.to_json()
        else:
            assert found == expected, document


@pytest.mark.parametrize(
    "value",
    [
        MobReset(),
        OwnReset(),
        MobReset.model_construct(type="step_failed"),
        MobReset.model_construct(type="?"),
        MobReset.model_construct(type=[]),
        StepFailed.model_construct(type="step_failed"),
        object(),
        OnDemand,
    ],
    ids=lambda value: type(value).__name__,
)
def test_instances_are_taken_as_by_the_union(value: object) -> None:
    expected, found = (outcome(one.model_validate, {"kind": value}) for one in (Plain, OnDemand))
    if isinstance(expected, Plain):
        assert isinstance(found, OnDemand)
        assert found.kind is expected.kind is value
    else:
        assert found == expected


def test_lists_in_any_order_of_kinds() -> None:
    kinds = every_kind()
    for order in (kinds, kinds[::-1], sorted(kinds, key=lambda kind: kind.to_json())):
        union = TaggedUnion[MobEventKind](MobEventKind)
        for kind in order:
            assert union.read_list([kind.to_json()]) == [kind]
        assert union.read_list([kind.to_json() for kind in order]) == list(order)


def test_wrong_lists_have_the_errors_of_the_union_and_harm_no_later_ones() -> None:
    for tag in ("[]", "{}", "null", "1", '"?"'):
        union = TaggedUnion[MobEventKind](MobEventKind)
        with pytest.raises(ValidationError):
            union.read_list([f'{{"type":{tag}}}'])
    union = TaggedUnion[MobEventKind](MobEventKind)
    every = TypeAdapter(list[MobEventKind])
    for document in DOCUMENTS:
        text = json.dumps(document)
        expected = outcome(partial(every.validate_json, extra="forbid"), f"[{text}]")
        assert outcome(union.read_list, [text]) == expected, document
        assert union.read_list(['{"type":"mob_reset"}']) == [MobReset()]
    for text in ("{", '{"type":"mob_reset"} {}', "\ud800"):
        with pytest.raises(ValueError, match="validation error"):
            union.read_list([text])


@pytest.mark.slow
def test_only_the_schemas_of_the_kinds_that_occur_are_built() -> None:
    """In a new process, because this one has built them all."""
    code = """
import asyncio, mobstore
from mobstore.model.event import EVENT_KINDS
async def main():
    async with mobstore.open_stores("memory:") as stores:
        await stores.events.append(mobstore.NewMobEvent(mob_id="m", kind=mobstore.MobReset()))
        assert await stores.events.poll(0, 1)
        assert not mobstore.MobDefinition.__pydantic_complete__
        assert not mobstore.MobCreated.__pydantic_complete__
        assert not mobstore.StepFailed.__pydantic_complete__
        print(*EVENT_KINDS._list[0])
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout == "mob_reset\n"


class Timed(Record):
    type: Literal["timed"] = "timed"
    at: datetime


class Untimed(Record):
    type: Literal["untimed"] = "untimed"


Moment: TypeAlias = Annotated[Timed | Untimed, Field(discriminator="type")]


class Holder(Record):
    moment: Annotated[Moment, TaggedUnion[Moment](Moment)]


def test_json_is_read_as_json_within_a_field() -> None:
    """Strict pydantic takes the text of a time only in JSON; depth differs in the same way."""
    document = {"moment": {"type": "timed", "at": "2026-03-04T05:06:07Z"}}
    found = Holder.model_validate_json(json.dumps(document))
    assert found.moment == Timed(at=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    with pytest.raises(ValidationError, match="valid datetime"):
        Holder.model_validate(document)


def test_kinds_are_those_of_the_union() -> None:
    assert {"mob_created": MobCreated, "flow_started": FlowStarted}.items() <= (
        EVENT_KINDS.models.items()
    )
