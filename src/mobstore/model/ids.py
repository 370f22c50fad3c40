"""Identifiers. All but the UUIDs are free text, even the empty text, sorted by code point."""

from __future__ import annotations

from typing import NewType
from uuid import UUID

MobId = NewType("MobId", str)
FlowId = NewType("FlowId", str)
StepId = NewType("StepId", str)
BranchId = NewType("BranchId", str)
TaskId = NewType("TaskId", str)
MeerkatId = NewType("MeerkatId", str)
ProfileName = NewType("ProfileName", str)
FrameId = NewType("FrameId", str)
LoopInstanceId = NewType("LoopInstanceId", str)
FlowNodeId = NewType("FlowNodeId", str)
LoopId = NewType("LoopId", str)
BlobId = NewType("BlobId", str)
OpaquePrincipalToken = NewType("OpaquePrincipalToken", str)

RunId = NewType("RunId", UUID)
SessionId = NewType("SessionId", UUID)
