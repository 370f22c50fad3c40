"""Kernel states: the states of the machines that drive a run, its frames and its loops.

A store never looks into a state; it only compares it. A `KernelState` is therefore its canonical
JSON text: keys, set items and map entries are in the total order of kernel values. Two states are
equal when their texts are equal. The text is decoded only when a caller reads the fields.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from json import loads
from types import NoneType
from typing import Any, TypeVar, cast, overload

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from mobstore.errors import SerializationError, UsageError
from mobstore.model.canonical import Wire, canonical_state
from mobstore.model.checks import require
from mobstore.model.json import parse
from mobstore.model.kernel_values import (
    KernelInput,
    KernelMap,
    KernelSet,
    KernelValue,
    NamedVariant,
    dumped,
    from_wire,
    to_wire,
)
from mobstore.model.text import LONGEST_REPR, brief, cut

D = TypeVar("D")

_REQUIRED = object()
_KINDS: dict[str, tuple[str, type]] = {
    "bool": ("a flag", bool),
    "u64": ("a number", int),
    "string": ("text", str),
    "named_variant": ("a variant", NamedVariant),
    "seq": ("a sequence", tuple),
    "set": ("a set", KernelSet),
    "map": ("a map", KernelMap),
    "none": ("none", NoneType),
}
"""The kinds of kernel values: their names in messages, their types in Python."""


class KernelFields(Mapping[str, "KernelValue"]):
    """The fields of a state; read-only, because a change would not change the state."""

    __slots__ = ("_values",)
    _values: dict[str, KernelValue]

    def __init__(self, values: dict[str, KernelValue]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> KernelValue:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return cut(repr(self._values), LONGEST_REPR)


class KernelState:
    """The state of one machine: a phase and named fields; immutable.

    Compares and hashes by canonical text, the equality that every compare-and-swap uses.

    A field is read by a method for its kind, such as `state.text("owner")`. If the field is absent
    or of another kind, the method raises `UsageError`. The methods for single values take a
    `default`, which they return if the field is absent or none:

        flag     a bool          items    a sequence, as a tuple
        number   an int          members  a set, as a `KernelSet`
        text     a str           entries  a map, as a `KernelMap`
        variant  a NamedVariant  texts    a sequence or set of texts, as a tuple
    """

    __slots__ = ("_parts", "_text", "depth")
    _parts: tuple[str, dict[str, Wire]]
    """The phase and the fields of the text; unset until they are read."""
    _text: str
    depth: int
    """Levels of JSON nesting; 0 for a state read from a store, which checked it before."""

    def __init__(self, phase: str = "", fields: Mapping[str, KernelInput] | None = None) -> None:
        """Build a state from Python values, which are copied.

        Raises:
            SerializationError: a value has no kernel form (an integer outside 0 ... 2**64-1, bytes,
                a float), text has lone surrogates, or the nesting exceeds 127 levels.
            UsageError: `phase` is not text, or `fields` is not a mapping with text as keys.
        """
        require(phase, "phase", str)
        require(fields, "fields", Mapping, NoneType)
        for name in fields or ():
            require(name, "the name of a field", str)
        try:
            wire = {name: to_wire(value, 3) for name, value in (fields or {}).items()}
            self._text, self.depth = canonical_state({"phase": phase, "fields": wire})
        except ValueError as error:
            raise SerializationError(f"not a kernel state: {error}") from None

    @classmethod
    def from_json(cls, document: str | bytes) -> KernelState:
        """Read a state in any order of keys, items and entries.

        Raises:
            SerializationError: the document is not a kernel state.
            UsageError: the document is neither text nor bytes.
        """
        require(document, "a JSON document", str, bytes)
        return cls._from_wire(parse(document))

    @classmethod
    def from_canonical(cls, text: str) -> KernelState:
        """Return the state of a text that `to_json` returned; only reading its fields checks it.

        Raises:
            ValueError: it is not text.
        """
        if type(text) is not str:
            raise ValueError("a kernel state is text")
        state = cls.__new__(cls)
        state._text, state.depth = text, 0  # noqa: SLF001 - its own
        return state

    @classmethod
    def _from_wire(cls, wire: object) -> KernelState:
        state = cls.__new__(cls)
        try:
            state._text, state.depth = canonical_state(wire)  # noqa: SLF001 - its own
        except ValueError as error:
            raise SerializationError(f"not a kernel state: {error}") from None
        return state

    def to_json(self) -> str:
        """Return the canonical text: compact JSON; keys, set items and map entries in order."""
        return self._text

    @property
    def phase(self) -> str:
        """The machine's phase, such as `Running`."""
        with _naming_unreadable_states():
            return self._decoded()[0]

    @property
    def fields(self) -> Mapping[str, KernelValue]:
        """The machine's fields, decoded at each access; `kernel_values` lists their types.

        They cannot be changed; `replace` returns another state, and so does
        `KernelState(phase, {**state.fields, name: value})`, which can also add a field.
        """
        with _naming_unreadable_states():
            fields = self._decoded()[1]
            return KernelFields({name: from_wire(value) for name, value in fields.items()})

    def replace(self, phase: str | None = None, /, **fields: KernelInput) -> KernelState:
        """Return the state with another phase, other values of its fields, or both.

        Only the new values are checked and encoded. `replace` adds no field, so a misspelled name
        is an error.

        Args:
            phase: the next phase; None keeps it. Only by position, so a field may have this name.
            fields: the next values of fields, of any kind.

        Raises:
            UsageError: the state has no such field, or `phase` is not text.
            SerializationError: a value has no kernel form, or the stored state cannot be read.
        """
        with _naming_unreadable_states():
            kept_phase, kept = self._decoded()
        for name in fields:
            if name not in kept:
                raise UsageError(
                    f"the state has no field {brief(name)!r}; to add one, build a KernelState"
                )
        changed = KernelState(kept_phase if phase is None else phase, fields)
        next_phase, values = changed._decoded()
        text = dumped({"phase": next_phase, "fields": {**kept, **values}})
        state = KernelState.from_canonical(text)
        state.depth = max(self.depth, changed.depth)
        return state

    @overload
    def flag(self, name: str) -> bool: ...
    @overload
    def flag(self, name: str, default: D) -> bool | D: ...
    def flag(self, name: str, default: object = _REQUIRED) -> object:
        """Return a field that is a bool; see the class for errors and `default`."""
        return self._value(name, "bool", default)

    @overload
    def number(self, name: str) -> int: ...
    @overload
    def number(self, name: str, default: D) -> int | D: ...
    def number(self, name: str, default: object = _REQUIRED) -> object:
        """Return a field that is an integer; see the class for errors and `default`."""
        return self._value(name, "u64", default)

    @overload
    def text(self, name: str) -> str: ...
    @overload
    def text(self, name: str, default: D) -> str | D: ...
    def text(self, name: str, default: object = _REQUIRED) -> object:
        """Return a field that is text; see the class for errors and `default`."""
        return self._value(name, "string", default)

    @overload
    def variant(self, name: str) -> NamedVariant: ...
    @overload
    def variant(self, name: str, default: D) -> NamedVariant | D: ...
    def variant(self, name: str, default: object = _REQUIRED) -> object:
        """Return a field that is a named variant; see the class for errors and `default`."""
        return self._value(name, "named_variant", default)

    def items(self, name: str) -> tuple[KernelValue, ...]:
        """Return a field that is a sequence; see the class for errors."""
        return cast("tuple[KernelValue, ...]", self._value(name, "seq"))

    def members(self, name: str) -> KernelSet:
        """Return a field that is a set; see the class for errors."""
        return cast("KernelSet", self._value(name, "set"))

    def entries(self, name: str) -> KernelMap:
        """Return a field that is a map; see the class for errors."""
        return cast("KernelMap", self._value(name, "map"))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that is a sequence or a set of texts, in its order.

        Raises:
            UsageError: the state has no such field, or it is none of these.
        """
        kind = "set" if self._kind(name) == "set" else "seq"
        found = tuple(cast("KernelSet", self._value(name, kind)))
        texts = tuple(item for item in found if isinstance(item, str))
        if len(texts) != len(found):
            raise UsageError(f"field {brief(name)!r} holds values that are not text")
        return texts

    def _kind(self, name: str) -> str | None:
        require(name, "the name of a field", str)
        with _naming_unreadable_states():
            field = self._decoded()[1].get(name)
            return None if field is None else cast("str", field["type"])

    def _value(self, name: str, kind: str, default: object = _REQUIRED) -> object:
        found = self._kind(name)
        if found != kind:
            if default is not _REQUIRED and found in {None, "none"}:
                return default
            if found is None:
                raise UsageError(f"the state has no field {brief(name)!r}")
            expected, actual = _KINDS[kind][0], _KINDS.get(found, ("of no kind", object))[0]
            raise UsageError(f"field {brief(name)!r} is {actual}, not {expected}")
        with _naming_unreadable_states():
            value = from_wire(self._decoded()[1][name])
            if type(value) is not _KINDS[kind][1]:
                raise TypeError(kind)
        return value

    def _decoded(self) -> tuple[str, dict[str, Wire]]:
        try:
            return self._parts
        except AttributeError:
            pass
        state = loads(self._text)
        phase, fields = state["phase"], state["fields"]
        if type(phase) is not str or type(fields) is not dict:
            raise TypeError("a state has a phase and fields")
        self._parts = phase, fields
        return self._parts

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        """Return what copies and pickles keep: not what was decoded."""
        return None, {"_text": self._text, "depth": self.depth}

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, KernelState) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        if len(self._text) > LONGEST_REPR:
            return f"KernelState.from_json({cut(self._text, LONGEST_REPR)!r})"
        return f"KernelState(phase={self.phase!r}, fields={dict(self.fields)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: object) -> KernelState:
            if isinstance(value, KernelState):
                return value
            try:
                return cls._from_wire(value)
            except SerializationError as error:
                raise ValueError(error.detail) from None

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda state: loads(state.to_json()), when_used="json"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        value = {
            "type": "object",
            "properties": {"type": {"enum": list(_KINDS)}},
            "required": ["type"],
        }
        return {
            "type": "object",
            "properties": {
                "phase": {"type": "string"},
                "fields": {"type": "object", "additionalProperties": value},
            },
            "required": ["phase", "fields"],
        }


@contextmanager
def _naming_unreadable_states() -> Generator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SerializationError("the stored kernel state cannot be read") from None
