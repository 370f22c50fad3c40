"""A union of models with a tag; the schema of a model is built when a value has its tag.

The schemas of all kinds of events take 10 ms to build, once for the fields of events and once for
lists: most of it for the definition in `MobCreated`. A first event of another kind takes 1 ms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union, cast, get_args

from pydantic import (
    BaseModel,
    FailFast,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
)
from pydantic_core import CoreSchema, core_schema

from mobstore.model.json import write_deep
from mobstore.model.record import EXACTLY

T = TypeVar("T")

_TAG = "type"


class _Reader(NamedTuple, Generic[T]):
    tags: frozenset[str]
    adapter: TypeAdapter[list[T]] | None


class TaggedUnion(Generic[T]):
    """A union of models with the tag `type`; in `Annotated`, the schema of a field.

    Values and errors are those of the union of all models.
    """

    def __init__(self, union: object, other: type[BaseModel] | None = None) -> None:
        """Take the union, annotated with its discriminator.

        Args:
            union: the union.
            other: a further model, whose instances a field takes.
        """
        self._other = other
        models: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
        self.models: dict[str, type[BaseModel]] = {
            model.model_fields[_TAG].default: model for model in models
        }
        self._all = frozenset(self.models)
        # A union has two models at least; these two take the least time.
        self._least = frozenset(
            sorted(self.models, key=lambda tag: len(self.models[tag].model_fields))[:2]
        )
        self._adapter = cache(self._build)
        # What the reader of lists accepts, and the reader: replaced as one, for threads.
        self._list: _Reader[T] = _Reader(frozenset(), None)

    def read_list(self, documents: Iterable[str]) -> list[T]:
        """Read JSON documents in one call, three times as fast as one by one.

        Raises:
            ValueError: one of them is of none of the models, or has unknown keys.
        """
        text = f"[{','.join(documents)}]"
        while True:
            tags, reader = self._list
            try:
                if reader is not None:
                    return reader.validate_json(text, extra="forbid", context=EXACTLY)
            except ValueError:
                if tags == self._all:
                    raise
            more = self._tags(text)
            tags = self._all if more <= tags else tags | more
            models: Any = list
            models = Annotated[models[self._union(tags)], FailFast()]
            self._list = _Reader(tags, TypeAdapter(models))

    def _tags(self, text: str) -> frozenset[str]:
        """Return the tags in an array of documents, none if it is not JSON."""
        try:
            documents = json.loads(text)
        except (ValueError, RecursionError):
            return frozenset()
        return frozenset(tag for tag in map(_tag, documents) if tag in self._all)

    def _union(self, tags: frozenset[str]) -> Any:
        used = tags | self._least
        models = tuple(model for tag, model in self.models.items() if tag in used)
        return Annotated[Union[models], Field(discriminator=_TAG)]  # noqa: UP007 - a variable

    def _build(self, tag: str | None) -> TypeAdapter[T]:
        """Return the adapter of values with a tag; None is for those without a known one."""
        tags = self._all if tag is None else frozenset((tag,))
        return TypeAdapter(self._union(tags))

    def _read(self, value: Any, info: core_schema.ValidationInfo) -> T:
        tag = _tag(value)
        model = self.models.get(tag)
        if type(value) is model or type(value) is self._other:
            return cast("T", value)  # pydantic does not check an instance again
        adapter = self._adapter(None if model is None else tag)
        if info.mode == "json":  # where pydantic follows any depth
            return adapter.validate_json(write_deep(value))
        return adapter.validate_python(value)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        union: Any = self._union(self._all)
        if self._other is not None and handler.mode == "serialization":  # no field reads one
            union = Union[union, self._other]  # noqa: UP007 - a variable
        return handler(TypeAdapter(union).core_schema)


def _tag(value: Any) -> str:
    """Return the tag of a document or model, an empty text if it has none."""
    is_document = type(value) is dict
    tag = cast("dict[str, Any]", value).get(_TAG) if is_document else getattr(value, _TAG, None)
    return tag if type(tag) is str else ""
