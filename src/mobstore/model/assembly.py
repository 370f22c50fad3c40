"""Assembly of records from checked fields, past pydantic's validation; schemas built when needed.

Decoding a row builds a record from fields that were checked when they were stored. Pydantic's
`model_construct` takes ten times as long as the four assignments below, and a poll of 10,000
events builds 10,000 records. The assignments write slots that are private to pydantic: they are
used only while `BaseModel` has exactly these slots, else `model_construct` is.
`tests/model/test_assembly.py` fails when pydantic changes them.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Self  # annotations are no text: see `record`

from pydantic import BaseModel, ConfigDict

SLOTS = (
    "__dict__",
    "__pydantic_fields_set__",
    "__pydantic_extra__",
    "__pydantic_private__",
)
"""The slots in which pydantic 2.12 and 2.13 keep a model."""

SLOTS_ARE_KNOWN = tuple(BaseModel.__slots__) == SLOTS

_new = object.__new__
if SLOTS_ARE_KNOWN:
    _set_dict, _set_fields_set, _set_extra, _set_private = (
        vars(BaseModel)[name].__set__ for name in SLOTS
    )


class _Serializer:
    """The serializer of a class whose schema is not built yet: a record builds it.

    The class has pydantic's substitute. Before 2.14, pydantic cannot use that to write a record
    within something whose schema does not know it, such as the kind of an event.
    """

    def __init__(self, substitute: object) -> None:
        self._substitute = substitute

    def __get__(self, record: BaseModel | None, kind: type[BaseModel]) -> object:
        if record is None:
            return self._substitute
        kind.model_rebuild()  # which replaces this descriptor
        return kind.__pydantic_serializer__


class Assembled(BaseModel):
    """A model that can be built from fields that were checked before."""

    # Schemas are built at the first use: all of them at import would double its time, and the
    # first one loads pydantic's plugins, which takes 10 ms.
    model_config: ClassVar[ConfigDict] = ConfigDict(defer_build=True)

    _names: ClassVar[set[str]] = set()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        cls._names = set(cls.model_fields)
        if not cls.__pydantic_complete__:
            deferred: Any = _Serializer(cls.__pydantic_serializer__)
            cls.__pydantic_serializer__ = deferred

    if SLOTS_ARE_KNOWN:

        @classmethod
        def assemble(cls, fields: dict[str, object]) -> Self:
            """Build a record from all its fields, which become its own."""
            return cls.assemble_all((fields,))[0]

        @classmethod
        def assemble_all(cls, many: Iterable[dict[str, object]]) -> list[Self]:
            """Build records; for many, in half the time."""
            names, records = cls._names, list[Self]()
            for fields in many:
                record = _new(cls)
                _set_dict(record, fields)
                # A copy, which costs 3% of a poll: a caller can change `model_fields_set`.
                _set_fields_set(record, names.copy())
                _set_extra(record, None)
                _set_private(record, None)
                records.append(record)
            return records

    else:

        @classmethod
        def assemble(cls, fields: dict[str, object]) -> Self:
            """Build a record from all its fields, which become its own."""
            return cls.model_construct(cls._names.copy(), **fields)

        @classmethod
        def assemble_all(cls, many: Iterable[dict[str, object]]) -> list[Self]:
            """Build records."""
            return list(map(cls.assemble, many))
