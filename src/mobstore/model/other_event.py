"""Events of kinds that this version does not know, kept as they are."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, cast

from pydantic import GetCoreSchemaHandler, JsonValue, WithJsonSchema, model_serializer
from pydantic_core import CoreSchema, core_schema

from mobstore.errors import SerializationError
from mobstore.model.checks import require
from mobstore.model.json import JsonInput, copy_json, parse
from mobstore.model.record import Accepting, Record

_TAG = "type"
_ROOM = 125  # levels of a value: an event's kind has 126
_WRITTEN = WithJsonSchema(
    {"type": "object", "properties": {_TAG: {"type": "string"}}, "required": [_TAG]}
)


class _FieldsSchema:
    """Pydantic schema of the fields: free JSON by name, copied, in the order given."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_copy_fields)


def _copy_fields(fields: object) -> dict[str, JsonValue]:
    if not isinstance(fields, Mapping):
        raise ValueError("must map names to JSON values")  # noqa: TRY004 - pydantic reports it
    given = cast("Mapping[object, object]", fields)
    if _TAG in given:
        raise ValueError("must not hold a type, which has a field of its own")
    return cast("dict[str, JsonValue]", copy_json(dict(given), _ROOM + 1, in_order=True))


class OtherEvent(Record):
    """An event of a kind that this version does not know, or of a known kind with unknown keys.

    `type` is its type and `fields` are all other keys of its JSON, in their order. `to_json`
    writes the type first, then these, without white space. A store returns it as it was appended
    or imported. Only `from_json` and stores read what it writes: as a field of another model, also
    within an event, pydantic writes it but does not read it back.
    """

    type: str
    fields: Accepting[
        Annotated[Mapping[str, JsonValue], _FieldsSchema(), WithJsonSchema({"type": "object"})],
        Mapping[str, JsonInput],
    ]

    @classmethod
    def from_json(cls, document: str | bytes) -> Self:
        """Read the JSON of an event's kind, whether this version knows the kind or not.

        Raises:
            SerializationError: the document is not a JSON object with a text as `type`, or an
                object in it has a key twice.
            UsageError: `document` is neither text nor bytes.
        """
        require(document, "a JSON document", str, bytes)
        return cls.assemble(_fields_of(parse(document)))

    @model_serializer(mode="plain")
    def json_fields(self) -> Annotated[dict[str, object], _WRITTEN]:
        """Return the type and the fields, as in the JSON."""
        if not isinstance(cast("object", self.fields), dict):
            raise ValueError("fields must be a dict")  # noqa: TRY004 - it has no JSON form
        return {_TAG: self.type, **self.fields}


def other_event(value: object) -> OtherEvent:
    """Build an event from parsed JSON (see `parse`).

    Raises:
        SerializationError: as for `OtherEvent.from_json`.
    """
    return OtherEvent.assemble(_fields_of(value))


def _fields_of(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise SerializationError("document: an event is an object")
    fields = dict(cast("dict[str, Any]", value))
    tag = fields.pop(_TAG, None)
    if type(tag) is not str:
        raise SerializationError("type: an event has one text as its type")
    try:
        return {_TAG: tag, "fields": _copy_fields(fields)}
    except ValueError as error:
        raise SerializationError(f"fields: {error}") from None
