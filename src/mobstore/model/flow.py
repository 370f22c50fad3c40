"""Flows: steps with their messages and conditions, and the frames that arrange them."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mobstore.model.ids import BlobId, BranchId, FlowNodeId, LoopId, ProfileName, StepId
from mobstore.model.record import U8, U32, U64, Array, FreeJson, OrderedMap, Record

DispatchMode: TypeAlias = Literal["fan_out", "one_to_one", "fan_in"]
DependencyMode: TypeAlias = Literal["all", "any"]
StepOutputFormat: TypeAlias = Literal["json", "text"]


# Content of a step's message -------------------------------------------------------------------


class TextBlock(Record):
    type: Literal["text"] = "text"
    text: str


class InlineImageBlock(Record):
    type: Literal["image"] = "image"
    media_type: str
    source: Literal["inline"] = "inline"
    data: str


class BlobImageBlock(Record):
    type: Literal["image"] = "image"
    media_type: str
    source: Literal["blob"] = "blob"
    blob_id: BlobId


class VideoBlock(Record):
    type: Literal["video"] = "video"
    media_type: str
    duration_ms: U64
    source: Literal["inline"] = "inline"
    data: str


ImageBlock: TypeAlias = Annotated[InlineImageBlock | BlobImageBlock, Field(discriminator="source")]
ContentBlock: TypeAlias = Annotated[
    TextBlock | ImageBlock | VideoBlock, Field(discriminator="type")
]
ContentInput: TypeAlias = str | Array[ContentBlock]


# Conditions ------------------------------------------------------------------------------------


class ConditionEq(Record):
    op: Literal["eq"] = "eq"
    path: str
    value: FreeJson


class ConditionGt(Record):
    op: Literal["gt"] = "gt"
    path: str
    value: FreeJson


class ConditionLt(Record):
    op: Literal["lt"] = "lt"
    path: str
    value: FreeJson


class ConditionIn(Record):
    op: Literal["in"] = "in"
    path: str
    values: Array[FreeJson]


class ConditionAnd(Record):
    op: Literal["and"] = "and"
    exprs: Array["ConditionExpr"]


class ConditionOr(Record):
    op: Literal["or"] = "or"
    exprs: Array["ConditionExpr"]


class ConditionNot(Record):
    op: Literal["not"] = "not"
    expr: "ConditionExpr"


ConditionExpr: TypeAlias = Annotated[
    ConditionEq
    | ConditionGt
    | ConditionLt
    | ConditionIn
    | ConditionAnd
    | ConditionOr
    | ConditionNot,
    Field(discriminator="op"),
]


# Flows -----------------------------------------------------------------------------------------


class CollectAll(Record):
    type: Literal["all"] = "all"


class CollectAny(Record):
    type: Literal["any"] = "any"


class CollectQuorum(Record):
    type: Literal["quorum"] = "quorum"
    n: U8


CollectionPolicy: TypeAlias = Annotated[
    CollectAll | CollectAny | CollectQuorum, Field(discriminator="type")
]


class FlowStepSpec(Record):
    """A step of a flow: its role and message, its dependencies, and the collection of answers."""

    role: ProfileName
    message: ContentInput
    depends_on: Array[StepId] = ()
    dispatch_mode: DispatchMode = "fan_out"
    collection_policy: CollectionPolicy = Field(default_factory=CollectAll)
    condition: ConditionExpr | None = None
    timeout_ms: U64 | None = None
    expected_schema_ref: str | None = None
    branch: BranchId | None = None
    depends_on_mode: DependencyMode = "all"
    allowed_tools: Array[str] | None = None
    blocked_tools: Array[str] | None = None
    output_format: StepOutputFormat = "json"


class FrameStepSpec(Record):
    """A node of a frame that runs a step."""

    kind: Literal["step"] = "step"
    step_id: StepId
    depends_on: Array[FlowNodeId]
    depends_on_mode: DependencyMode
    branch: BranchId | None = None


class RepeatUntilSpec(Record):
    """A node of a frame that repeats a body frame until a condition holds."""

    kind: Literal["repeat_until"] = "repeat_until"
    loop_id: LoopId
    depends_on: Array[FlowNodeId]
    depends_on_mode: DependencyMode
    body: "FrameSpec"
    until: ConditionExpr
    max_iterations: U32


FlowNodeSpec: TypeAlias = Annotated[FrameStepSpec | RepeatUntilSpec, Field(discriminator="kind")]


class FrameSpec(Record):
    nodes: OrderedMap[FlowNodeId, FlowNodeSpec]


class FlowSpec(Record):
    """A flow: steps in the order of the document, and optionally a tree of frames."""

    description: str | None = None
    steps: OrderedMap[StepId, FlowStepSpec] = Field(default_factory=dict[StepId, FlowStepSpec])
    root: FrameSpec | None = None
