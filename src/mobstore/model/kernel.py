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
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from mobstore.errors import SerializationError
from mobstore.model.canonical import Wire, canonical_state
from mobstore.model.checks import require
from mobstore.model.json import parse
from mobstore.model.kernel_values import KernelValue, from_wire, to_wire
from mobstore.model.text import LONGEST_REPR, cut


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
    """

    __slots__ = ("_text", "depth")
    _text: str
    depth: int
    """Levels of JSON nesting; 0 for a state read from a store, which checked it before."""

    def __init__(self, phase: str = "", fields: Mapping[str, KernelValue] | None = None) -> None:
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

        They cannot be changed; `KernelState(phase, {**state.fields, name: value})` is another
        state.
        """
        with _naming_unreadable_states():
            fields = self._decoded()[1]
            return KernelFields({name: from_wire(value) for name, value in fields.items()})

    def _decoded(self) -> tuple[str, dict[str, Wire]]:
        state = loads(self._text)
        phase, fields = state["phase"], state["fields"]
        if type(phase) is not str:
            raise TypeError("a phase is text")
        return phase, fields

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


@contextmanager
def _naming_unreadable_states() -> Generator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SerializationError("the stored kernel state cannot be read") from None
