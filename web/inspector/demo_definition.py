"""Definition of the demo's mob and flow."""

from __future__ import annotations

from functools import cache

from mobstore import FlowId, FlowRunConfig, KernelState, MobDefinition, MobId, MobRun

DEMO_MOB = MobId("demo-desk")
DEMO_FLOW = FlowId("story")

_DEFINITION = """
[mob]
id = "demo-desk"
orchestrator = "editor"

[profiles.editor]
model = "model-large"
peer_description = "Plans the story, signs it off"

[profiles.writer]
model = "model-medium"
peer_description = "Drafts and revises"

[profiles.critic]
model = "model-small"
peer_description = "Scores what the writer wrote"

[limits]
max_step_retries = 1

[flows.story]
description = "A short story, revised until the critic likes it"

[flows.story.steps]
outline = { role = "editor", message = "Outline a story on {{params.topic}}" }
draft = { role = "writer", message = "Draft it", depends_on = ["outline"] }
critique = { role = "critic", message = "Score it", depends_on = ["draft"] }
signoff = { role = "editor", message = "Sign it off", depends_on = ["critique"] }

[flows.story.root.nodes.n-outline]
kind = "step"
step_id = "outline"
depends_on = []
depends_on_mode = "all"

[flows.story.root.nodes.n-revise]
kind = "repeat_until"
loop_id = "revise"
depends_on = ["n-outline"]
depends_on_mode = "all"
until = { op = "gt", path = "steps.critique.score", value = 0.8 }
max_iterations = 2

[flows.story.root.nodes.n-revise.body.nodes.n-draft]
kind = "step"
step_id = "draft"
depends_on = []
depends_on_mode = "all"

[flows.story.root.nodes.n-revise.body.nodes.n-critique]
kind = "step"
step_id = "critique"
depends_on = ["n-draft"]
depends_on_mode = "all"

[flows.story.root.nodes.n-signoff]
kind = "step"
step_id = "signoff"
depends_on = ["n-revise"]
depends_on_mode = "all"
"""


@cache
def definition() -> MobDefinition:
    """Return the definition of the demo's mob."""
    return MobDefinition.from_toml(_DEFINITION)


def first_state() -> KernelState:
    """Return the flow state of a new run."""
    return MobRun.flow_state_for_config(FlowRunConfig.from_definition(DEMO_FLOW, definition()))
