"""What all stored models share: immutable, strict, the reference's JSON.

Unknown keys are ignored, as the reference does; a wrong type, a missing key, a null where none
belongs and a key that stands twice are refused. Of sequences and maps the first wrong item is told
alone: an error for each of millions would take a thousand times the memory of the text. Sequences
are tuples. Maps are read-only to the type checker and copied when a model takes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema

from mobstore.errors import SerializationError
from mobstore.model.json import U64_MAX, copy_json, parse, without_duplicates, write_deep
from mobstore.model.kernel import KernelState
from mobstore.model.text import LONGEST_REPR, bounded, cut, dotted_path
from mobstore.model.timestamp import Timestamp

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


_REPLACEMENT = "\ufffd".encode()
_new = object.__new__
# The four places in which pydantic keeps what makes a model, as `model_construct` fills them.
_set_dict, _set_fields_set, _set_extra, _set_private = (
    vars(BaseModel)[name].__set__
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)


class Record(BaseModel):  # noqa: PLW1641 - pydantic gives frozen models their hash
    """Base of every stored model: immutable, strict, with the reference's JSON."""

    # Built on first use: building them all at import would double its time.
    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, strict=True, extra="ignore", defer_build=True
    )

    _names: ClassVar[set[str]] = set()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        cls._names = set(cls.model_fields)

    @classmethod
    def from_json(cls, document: str | bytes) -> Self:
        """Read one JSON document.

        Raises:
            SerializationError: the document is not JSON, or not of this type.
        """
        return decode(cls, document)

    def to_json(self) -> str:
        """Write the reference's JSON: compact, keys in the documented order.

        Raises:
            SerializationError: text with lone surrogates, or models nested too deeply.
        """
        return self.to_json_bytes().decode()

    def to_json_bytes(self) -> bytes:
        """`to_json` as UTF-8.

        Raises:
            SerializationError: text with lone surrogates, or models nested too deeply.
        """
        try:
            # Its warnings would show the content; who stores a record reads it first (see `kept`).
            written = self.__pydantic_serializer__.to_json(self, warnings=False)
            if _REPLACEMENT not in written:
                return written
            # Pydantic writes it also for surrogates in the keys of maps.
        except PydanticSerializationError:
            pass  # perhaps only nested too deeply for pydantic
        with suppress(ValueError, RecursionError):  # their texts show what the record holds
            return write_deep(self, opened).encode()
        raise SerializationError(
            "a record that is nested too deeply, or holds lone surrogates or what is no JSON,"
            " has no JSON form"
        )

    @classmethod
    def assemble(cls, fields: dict[str, object]) -> Self:
        """Build a record from all its fields, which were checked when they were stored.

        Pydantic's own `model_construct` does the same ten times slower, and a poll of
        10,000 events builds 10,000 records.
        """
        record = _new(cls)
        _set_dict(record, fields)
        _set_fields_set(record, cls._names)
        _set_extra(record, None)
        _set_private(record, None)
        return record

    @classmethod
    def lacks(cls, record: Record) -> str | None:
        """The first field of this type that a record lacks, as one can that nobody checked."""
        if cls._names <= record.__dict__.keys():
            return None
        return next(name for name in cls.model_fields if name not in record.__dict__)

    def __repr_str__(self, join_str: str) -> str:
        """The fields for `repr` and `str`, all that is long cut: a document may have 80 MiB."""
        return join_str.join(
            f"{name}={_brief(part)}" for name, part in self.__repr_args__() if name is not None
        )

    def __eq__(self, other: object) -> bool:
        """Equal in type and content; unlike in Python, `1`, `1.0` and `True` differ.

        Records can be hashed unless they hold maps or free JSON.
        """
        return type(self) is type(other) and _same(self.__dict__, other.__dict__)


def _brief(part: object) -> str:
    written = repr(cut(part, LONGEST_REPR) if isinstance(part, str) else part)
    return bounded(written, LONGEST_REPR)


def opened(value: object) -> object:
    """The form in which a record or a part of it is written: one level of it, for `write_deep`."""
    if isinstance(value, Record):
        fields = type(value).model_fields
        return {
            name: part
            for name, part in value.__dict__.items()
            if not ((left_out := fields[name].exclude_if) and left_out(part))
        }
    if isinstance(value, KernelState):
        return json.loads(value.to_json())
    if isinstance(value, float) and not isfinite(value):
        return None
    return str(value) if isinstance(value, Timestamp) else value


def decode(kind: type[T], document: str | bytes) -> T:
    """Read one document of any model type, unions included.

    Raises:
        SerializationError: the document is not JSON, or not of this type.
    """
    return validate(kind, parse(document))


def validate(kind: type[T], value: object) -> T:
    """Make a model of parsed JSON (see `parse`).

    Raises:
        SerializationError: the value is not of the type.
    """
    adapter = _adapter(kind)
    try:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            if not _stopped_by_depth(error):
                raise
        # In objects pydantic fears circles; in text it follows models as deep as they lie.
        # Text cannot tell what stands twice in a struct or in a map, so both are refused.
        return adapter.validate_json(write_deep(value))
    except ValidationError as error:
        why = explain(error)  # all that is said of it: the error itself shows what was read
    except (ValueError, RecursionError):
        why = "nested too deeply"
    raise SerializationError(why)


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _stopped_by_depth(error: ValidationError) -> bool:
    """Whether pydantic followed models in models as far as it does; see `write_deep`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return any(one["type"].startswith("recursion_") for one in found)


def explain(error: ValidationError) -> str:
    """The first complaint, with its place; never the value, which may be private."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = dotted_path(first["loc"]) or "document"
    if first["type"] == "union_tag_invalid":  # pydantic's own text shows the tag
        return f"{place}: unknown kind"
    return f"{place}: {cut(first['msg'], 400)}"


def _same(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        these, those = cast("dict[str, object]", one), cast("dict[str, object]", other)
        return these.keys() == those.keys() and all(_same(v, those[k]) for k, v in these.items())
    if isinstance(one, (list, tuple)):
        ones, others = cast("list[object]", one), cast("list[object]", other)
        return len(ones) == len(others) and all(map(_same, ones, others))
    return one == other


class _ArraySchema:
    """Pydantic schema of a sequence: a tuple; in Python mode also a list, but no set."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        (item, _) = get_args(source)
        checked = handler.generate_schema(item)
        return core_schema.json_or_python_schema(
            # Not strict: below a function pydantic still says JSON but brings Python's lists.
            json_schema=core_schema.tuple_schema(
                [checked], variadic_item_index=0, strict=False, fail_fast=True
            ),
            python_schema=core_schema.no_info_before_validator_function(
                _as_tuple,
                core_schema.tuple_schema([checked], variadic_item_index=0, fail_fast=True),
            ),
        )


def _as_tuple(value: Any) -> Any:
    return tuple(value) if value.__class__ is list else value


class _MapSchema:
    """Pydantic schema of a map: a plain dict, copied, in Python mode freed of duplicates."""

    def __init__(self, *, by_key: bool) -> None:
        self.by_key = by_key

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        key, value = get_args(source)
        checked: CoreSchema = core_schema.dict_schema(
            handler.generate_schema(key), handler.generate_schema(value), fail_fast=True
        )
        if self.by_key:
            checked = core_schema.no_info_after_validator_function(_sorted_map, checked)
        return core_schema.json_or_python_schema(
            json_schema=checked,
            python_schema=core_schema.no_info_before_validator_function(
                without_duplicates, checked
            ),
        )


def _sorted_map(value: dict[str, V]) -> dict[str, V]:
    return dict(sorted(value.items())) if len(value) > 1 else value


class _FreeJsonSchema:
    """Pydantic schema of free JSON: copied, object keys sorted."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(copy_json)


class _UuidSchema:
    """Pydantic schema of a UUID: also as text, also in Python; never as bytes."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from_text = core_schema.chain_schema(
            [core_schema.str_schema(strict=True), core_schema.uuid_schema(strict=False)]
        )
        return core_schema.json_or_python_schema(
            json_schema=core_schema.uuid_schema(),
            python_schema=core_schema.union_schema(
                [core_schema.uuid_schema(strict=True), from_text], mode="left_to_right"
            ),
        )


U8 = Annotated[int, Field(ge=0, le=2**8 - 1)]
U32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
U64 = Annotated[int, Field(ge=0, le=U64_MAX)]
I32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]

Array = Annotated[tuple[T, ...], _ArraySchema()]
"""A sequence; a list is taken too, and copied."""

SortedMap = Annotated[Mapping[K, V], _MapSchema(by_key=True)]
"""A map written with its keys in order."""

OrderedMap = Annotated[Mapping[K, V], _MapSchema(by_key=False)]
"""A map that keeps the order in which its keys came; equality ignores that order."""

FreeJson = Annotated[JsonValue, _FreeJsonSchema()]
"""Any JSON value; object keys are sorted."""

AS_UUID = _UuidSchema()
"""Marks a field whose type is a `NewType` of `UUID`."""


def no_value(value: object) -> bool:
    """Whether an optional key is left out when writing."""
    return value is None
