"""The base of all stored models: immutable, strict, with the reference's JSON.

Unknown keys are ignored, as in the reference. A wrong type, a missing key, a null where none
belongs and a duplicate key are rejected. Of sequences and maps, only the first wrong item is
reported: one error for each of millions would take a thousand times the memory of the text.
Sequences are tuples. Maps are read-only to the type checker and copied when a model takes them.

Annotations are no text here (`from __future__ import annotations`): pydantic would evaluate those
of the base for each of a hundred models, which takes 3 ms.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite
from threading import RLock
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
)
from uuid import UUID

from pydantic import (
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema

from mobstore.errors import SerializationError, UsageError
from mobstore.model.assembly import Assembled
from mobstore.model.checks import require
from mobstore.model.ids import RunId, SessionId
from mobstore.model.json import U64_MAX, JsonInput, copy_json, parse, without_duplicates, write_deep
from mobstore.model.kernel import KernelState
from mobstore.model.text import LONGEST_REPR, bounded, cut, dotted_path
from mobstore.model.timestamp import Timestamp

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
R = TypeVar("R", bound="Record")
Read = TypeVar("Read")
Given = TypeVar("Given")

EXACTLY = object()
"""The context of validation that forbids unknown keys, for validators of our own."""

_MOST_ERRORS = 1000
_REPLACEMENT = "\ufffd".encode()
_building = RLock()
if hasattr(os, "register_at_fork"):  # the child has no thread that would finish a schema
    os.register_at_fork(
        before=_building.acquire,
        after_in_parent=_building.release,
        after_in_child=_building.release,
    )


class Record(Assembled):  # noqa: PLW1641 - pydantic makes frozen models hashable
    """Base of every stored model: immutable, strict, with the reference's JSON.

    Constructors raise pydantic's `ValidationError`; all other methods raise a `MobStoreError`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True, extra="ignore")

    @classmethod
    def model_rebuild(
        cls,
        *,
        force: bool = False,
        raise_errors: bool = True,
        _parent_namespace_depth: int = 2,
        _types_namespace: Mapping[str, object] | None = None,
    ) -> bool | None:
        """Build the schema as pydantic does at the first use, in one thread at a time.

        In pydantic 2.12, a second thread would delete the schema that the first has just built.
        """
        with _building:
            return super().model_rebuild(
                force=force,
                raise_errors=raise_errors,
                _parent_namespace_depth=_parent_namespace_depth + 1,
                _types_namespace=_types_namespace,
            )

    @classmethod
    def from_json(cls, document: str | bytes) -> Self:
        """Read one JSON document.

        Raises:
            SerializationError: the document is not JSON, or not of this type.
            UsageError: `document` is neither text nor bytes.
        """
        return decode(cls, document)

    def to_json(self) -> str:
        """Return the reference's JSON: compact, keys in the documented order.

        Raises:
            SerializationError: text has lone surrogates, or models are nested too deeply.
        """
        return self.to_json_bytes().decode()

    def to_json_bytes(self) -> bytes:
        """Return `to_json` as UTF-8.

        Raises:
            SerializationError: text has lone surrogates, or models are nested too deeply.
        """
        try:
            # Warnings would show the content. What is stored is compared in `round_trip`.
            written = self.__pydantic_serializer__.to_json(self, warnings=False)
            if _REPLACEMENT not in written:
                return written
            # Pydantic also writes it in place of surrogates in the keys of maps.
        except PydanticSerializationError:
            pass  # perhaps only nested too deeply for pydantic
        with suppress(ValueError, RecursionError):  # their texts show the record's content
            return write_deep(self, json_form).encode()
        raise SerializationError(
            "a record that is nested too deeply, or that holds lone surrogates or values that JSON"
            " does not have, has no JSON form"
        )

    @classmethod
    def lacks(cls, record: "Record") -> str | None:
        """Return the first field of this type that a record lacks; an unchecked one can."""
        if cls._names <= record.__dict__.keys():
            return None
        return next(name for name in cls.model_fields if name not in record.__dict__)

    def json_fields(self) -> dict[str, object]:
        """Return the fields that the JSON has, in its order."""
        fields = type(self).model_fields
        return {
            name: part
            for name, part in self.__dict__.items()
            if not ((left_out := fields[name].exclude_if) and left_out(part))
        }

    def __repr_str__(self, join_str: str) -> str:
        """Return the fields for `repr` and `str`, long ones cut: a document may have 80 MiB."""
        return join_str.join(
            f"{name}={_brief(part)}" for name, part in self.__repr_args__() if name is not None
        )

    def __eq__(self, other: object) -> bool:
        """Return whether type and content are equal; unlike in Python, `1`, `1.0`, `True` differ.

        Records can be hashed unless they hold maps or free JSON.
        """
        return type(self) is type(other) and _same(self.__dict__, other.__dict__)


def _brief(part: object) -> str:
    written = repr(cut(part, LONGEST_REPR) if isinstance(part, str) else part)
    return bounded(written, LONGEST_REPR)


def json_form(value: object) -> object:
    """Return the form in which `write_deep` writes a record or a part of it: one level of it."""
    if isinstance(value, Record):
        return value.json_fields()
    if isinstance(value, KernelState):
        return json.loads(value.to_json())
    if isinstance(value, float) and not isfinite(value):
        return None
    return str(value) if isinstance(value, Timestamp) else value


def build(kind: type[R], **fields: object) -> R:
    """Build a record from the arguments of a method.

    Raises:
        UsageError: an argument is of the wrong type.
        SerializationError: an argument has no JSON form.
    """
    try:
        return kind(**fields)
    except ValidationError as error:
        why, found = explain(error), error.errors(include_url=False, include_input=False)[0]
    # Free JSON is the only field whose own validator checks the arguments of a method.
    raise (SerializationError if found["type"] == "value_error" else UsageError)(why)


def decode(kind: type[T], document: str | bytes) -> T:
    """Read one document of any model type, unions included.

    Raises:
        SerializationError: the document is not JSON, or not of this type.
        UsageError: `document` is neither text nor bytes.
    """
    require(document, "a JSON document", str, bytes)
    return validate(kind, parse(document))


def validate(kind: type[T], value: object) -> T:
    """Build a model from parsed JSON (see `parse`).

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
        # In objects, pydantic stops where it suspects a cycle; in text it follows any depth.
        # Text cannot tell a duplicate key in a struct from one in a map: both are rejected.
        return adapter.validate_json(write_deep(value))
    except ValidationError as error:
        why = explain(error)  # the error itself shows the content
    except (ValueError, RecursionError):
        why = "nested too deeply"
    raise SerializationError(why)


def validate_exactly(kind: type[T], value: object) -> T | None:
    """Build a model from parsed JSON; return None if the JSON has unknown keys, or is wrong."""
    adapter = _adapter(kind)
    try:
        try:
            return adapter.validate_python(value, extra="forbid", context=EXACTLY)
        except ValidationError as error:
            # Each unknown key is an error, which takes a kilobyte to look at.
            if error.error_count() > _MOST_ERRORS or not _stopped_by_depth(error):
                return None
        return adapter.validate_json(write_deep(value), extra="forbid", context=EXACTLY)
    except (ValueError, RecursionError):
        return None


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _stopped_by_depth(error: ValidationError) -> bool:
    """Return whether pydantic stopped at its limit of nested models; see `write_deep`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return any(one["type"].startswith("recursion_") for one in found)


def explain(error: ValidationError) -> str:
    """Return the first error with its place, and never the value, which may be private."""
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
            # Not strict: below a function pydantic still says JSON but passes Python lists.
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
    """Pydantic schema of a map: a plain dict, copied; in Python mode duplicates are removed."""

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
    """Pydantic schema of a UUID: a UUID or its text, in Python too; never bytes."""

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


class Accepting(Generic[Read, Given]):
    """The type of a field that is read as `Read`, and for which constructors accept `Given`.

    Type checkers treat it as a descriptor, so they check constructors by `__set__`. At run time
    the annotation is `Read`, with the schema that converts `Given`.
    """

    if TYPE_CHECKING:

        def __get__(self, record: object, kind: type[object] | None = None) -> Read: ...

        def __set__(self, record: object, value: Given) -> None: ...

    else:

        def __class_getitem__(cls, types: tuple[Any, Any]) -> Any:
            return types[0]


NO_ITEMS: Any = ()
"""The default of an `Array`; of type `Any`, because a checker compares it with the descriptor."""
NO_VALUE: Any = None
"""The default of an optional field with a descriptor."""

NestedArray = Annotated[tuple[T, ...], _ArraySchema()]
"""A sequence within another type."""
NestedJson = Annotated[JsonValue, _FreeJsonSchema(), WithJsonSchema({})]
"""Any JSON value within another type; object keys are sorted."""

Array: TypeAlias = Accepting[NestedArray[T], Sequence[T]]
"""A sequence, read as a tuple; a list is accepted, too, and copied."""
OptionalArray: TypeAlias = Accepting[NestedArray[T] | None, Sequence[T] | None]
"""An `Array` or None."""

SortedMap = Annotated[Mapping[K, V], _MapSchema(by_key=True)]
"""A map written with its keys in order."""

OrderedMap = Annotated[Mapping[K, V], _MapSchema(by_key=False)]
"""A map that keeps the order in which its keys came; equality ignores that order."""

FreeJson: TypeAlias = Accepting[NestedJson, JsonInput]
"""Any JSON value; object keys are sorted."""

RunUuid: TypeAlias = Accepting[Annotated[RunId, _UuidSchema()], UUID | str]
"""The id of a run."""
SessionUuid: TypeAlias = Accepting[Annotated[SessionId, _UuidSchema()], UUID | str]
"""The id of a session."""
OptionalSessionUuid: TypeAlias = Accepting[
    Annotated[SessionId, _UuidSchema()] | None, UUID | str | None
]
"""The id of a session or None."""
OptionalUuid: TypeAlias = Accepting[Annotated[UUID, _UuidSchema()] | None, UUID | str | None]
"""Any other UUID or None."""


def no_value(value: object) -> bool:
    """Return whether an optional key is left out when writing."""
    return value is None
