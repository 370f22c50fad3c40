"""Flows: steps with their messages and conditions, and the frames that arrange them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, SerializeAsAny

from mobstore.model.ids import BlobId, BranchId, FlowNodeId, LoopId, ProfileName, StepId
from mobstore.model.json import JsonInput
from mobstore.model.record import (
    NO_ITEMS,
    NO_VALUE,
    U8,
    U32,
    U64,
    Accepting,
    Array,
    FreeJson,
    NestedArray,
    NestedJson,
    OptionalArray,
    OrderedMap,
    Record,
)

DispatchMode: TypeAlias = Literal["fan_out", "one_to_one", "fan_in"]
DependencyMode: TypeAlias = Literal["all", "any"]
StepOutputFormat: TypeAlias = Literal["json", "text"]


# Content of a step's message -------------------------------------------------------------------


class TextBlock(Record):
    """Text in a message."""

    type: Literal["text"] = "text"
    text: str


class InlineImageBlock(Record):
    """An image in a message, as base64 text."""

    type: Literal["image"] = "image"
    media_type: str
    source: Literal["inline"] = "inline"
    data: str


class BlobImageBlock(Record):
    """An image in a message, by its id in a store of blobs."""

    type: Literal["image"] = "image"
    media_type: str
    source: Literal["blob"] = "blob"
    blob_id: BlobId


class VideoBlock(Record):
    """A video in a message, as base64 text, with its duration in milliseconds."""

    type: Literal["video"] = "video"
    media_type: str
    duration_ms: U64
    source: Literal["inline"] = "inline"
    data: str


def _without_discriminator(schema: dict[str, Any]) -> None:
    """Remove what web frameworks reject: of images, the discriminator maps to another one."""
    del schema["discriminator"]


ImageBlock: TypeAlias = Annotated[InlineImageBlock | BlobImageBlock, Field(discriminator="source")]
ContentBlock: TypeAlias = Annotated[
    TextBlock | ImageBlock | VideoBlock,
    Field(discriminator="type", json_schema_extra=_without_discriminator),
]
ContentInput: TypeAlias = str | NestedArray[ContentBlock]


# Conditions ------------------------------------------------------------------------------------


class ConditionEq(Record):
    """True if the value at the path is equal to `value`.

    A path starts with `params` or `steps`, such as `steps.draft.score`: a runtime looks it up
    in the `FlowContext`.
    """

    op: Literal["eq"] = "eq"
    path: str
    value: FreeJson


class ConditionGt(Record):
    """True if the value at the path is greater than `value`."""

    op: Literal["gt"] = "gt"
    path: str
    value: FreeJson


class ConditionLt(Record):
    """True if the value at the path is less than `value`."""

    op: Literal["lt"] = "lt"
    path: str
    value: FreeJson


class ConditionIn(Record):
    """True if the value at the path is one of `values`."""

    op: Literal["in"] = "in"
    path: str
    values: Accepting[NestedArray[NestedJson], Sequence[JsonInput]]


class ConditionAnd(Record):
    """True if all conditions are."""

    op: Literal["and"] = "and"
    exprs: Array["ConditionExpr"]


class ConditionOr(Record):
    """True if one of the conditions is."""

    op: Literal["or"] = "or"
    exprs: Array["ConditionExpr"]


class ConditionNot(Record):
    """True if the condition is not."""

    op: Literal["not"] = "not"
    expr: "ConditionExpr"


# Conditions nest in each other. As a union they would be written in exponential time where pydantic
# 2.12 meets its limit of levels: it tries all models of the union again, at each level.
ConditionExpr: TypeAlias = SerializeAsAny[
    Annotated[
        ConditionEq
        | ConditionGt
        | ConditionLt
        | ConditionIn
        | ConditionAnd
        | ConditionOr
        | ConditionNot,
        Field(discriminator="op"),
    ]
]


# Flows -----------------------------------------------------------------------------------------


class CollectAll(Record):
    """The policy that a step needs the success of all members to which it was dispatched."""

    type: Literal["all"] = "all"


class CollectAny(Record):
    """The policy that a step needs the success of one member."""

    type: Literal["any"] = "any"


class CollectQuorum(Record):
    """The policy that a step needs the success of `n` members."""

    type: Literal["quorum"] = "quorum"
    n: U8


CollectionPolicy: TypeAlias = Annotated[
    CollectAll | CollectAny | CollectQuorum, Field(discriminator="type")
]


class FlowStepSpec(Record):
    """A step of a flow: a message to the members of a role, and what it waits for.

    A step is ready when all of `depends_on` are done, or one of them with the mode `any`. If
    its `condition` does not hold, it is skipped. `collection_policy` says how many members have
    to succeed; `dispatch_mode` is how the message is distributed.
    """

    role: ProfileName
    message: Accepting[ContentInput, str | Sequence[ContentBlock]]
    depends_on: Array[StepId] = NO_ITEMS
    dispatch_mode: DispatchMode = "fan_out"
    collection_policy: CollectionPolicy = Field(default_factory=CollectAll)
    condition: ConditionExpr | None = None
    timeout_ms: U64 | None = None
    expected_schema_ref: str | None = None
    branch: BranchId | None = None
    depends_on_mode: DependencyMode = "all"
    allowed_tools: OptionalArray[str] = NO_VALUE
    blocked_tools: OptionalArray[str] = NO_VALUE
    output_format: StepOutputFormat = "json"


class FrameStepSpec(Record):
    """A node of a frame that runs a step of the flow.

    Its dependencies are nodes of the same frame.
    """

    kind: Literal["step"] = "step"
    step_id: StepId
    depends_on: Array[FlowNodeId]
    depends_on_mode: DependencyMode
    branch: BranchId | None = None


class RepeatUntilSpec(Record):
    """A node of a frame that repeats a body frame until a condition holds.

    Each iteration is a frame of its own. After each, the runtime evaluates `until`; after
    `max_iterations` the loop is exhausted. Loops can be nested.
    """

    kind: Literal["repeat_until"] = "repeat_until"
    loop_id: LoopId
    depends_on: Array[FlowNodeId]
    depends_on_mode: DependencyMode
    body: "FrameSpec"
    until: ConditionExpr
    max_iterations: U32


FlowNodeSpec: TypeAlias = SerializeAsAny[  # see `ConditionExpr`
    Annotated[FrameStepSpec | RepeatUntilSpec, Field(discriminator="kind")]
]


class FrameSpec(Record):
    """The nodes that a frame runs, by id, in the order of the document."""

    nodes: OrderedMap[FlowNodeId, FlowNodeSpec]


class FlowSpec(Record):
    """A flow: steps in the order of the document, and optionally a tree of frames."""

    description: str | None = None
    steps: OrderedMap[StepId, FlowStepSpec] = Field(default_factory=dict[StepId, FlowStepSpec])
    root: FrameSpec | None = None
