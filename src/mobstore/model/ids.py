"""Identifiers. All but the UUIDs are free text, even the empty text, sorted by code point.

Their names document signatures: type checkers accept any text as one, as stores do. A field with
a UUID accepts a UUID or its text, and is read as a UUID.
"""

from __future__ import annotations

from typing import NewType, TypeAlias
from uuid import UUID

MobId: TypeAlias = str
FlowId: TypeAlias = str
StepId: TypeAlias = str
BranchId: TypeAlias = str
TaskId: TypeAlias = str
MeerkatId: TypeAlias = str
ProfileName: TypeAlias = str
FrameId: TypeAlias = str
LoopInstanceId: TypeAlias = str
FlowNodeId: TypeAlias = str
LoopId: TypeAlias = str
BlobId: TypeAlias = str
OpaquePrincipalToken: TypeAlias = str

RunId = NewType("RunId", UUID)
SessionId = NewType("SessionId", UUID)
