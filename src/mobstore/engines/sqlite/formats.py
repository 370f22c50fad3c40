"""The statements that create the layouts of earlier formats, as their releases wrote them."""

from __future__ import annotations

FORMAT_1: tuple[str, ...] = (
    'CREATE TABLE "meta" ("name" TEXT NOT NULL, "value" TEXT NOT NULL, PRIMARY KEY ("name"))',
    (
        'CREATE TABLE "counters" ("name" TEXT NOT NULL, "value" INTEGER NOT NULL, PRIMARY KEY '
        '("name"))'
    ),
    (
        'CREATE TABLE "events" ("cursor" INTEGER NOT NULL, "mob_id" TEXT NOT NULL, '
        '"timestamp" TEXT NOT NULL, "type" TEXT NOT NULL, "run_id" TEXT NOT NULL, "kind" TEXT '
        'NOT NULL, PRIMARY KEY ("cursor"))'
    ),
    'CREATE INDEX "events_by_mob" ON "events" ("mob_id", "cursor")',
    'CREATE INDEX "events_by_run" ON "events" ("run_id", "cursor")',
    'CREATE INDEX "events_by_time" ON "events" ("timestamp")',
    (
        'CREATE TABLE "runs" ("run_id" TEXT NOT NULL, "number" INTEGER NOT NULL, "mob_id" '
        'TEXT NOT NULL, "flow_id" TEXT NOT NULL, "status" TEXT NOT NULL, "activation_params" '
        'TEXT NOT NULL, "created_at" TEXT NOT NULL, "completed_at" TEXT NOT NULL, '
        '"schema_version" INTEGER NOT NULL, PRIMARY KEY ("run_id"))'
    ),
    'CREATE INDEX "runs_by_number" ON "runs" ("number")',
    'CREATE INDEX "runs_by_status" ON "runs" ("status", "number")',
    'CREATE INDEX "runs_by_mob" ON "runs" ("mob_id", "number")',
    'CREATE INDEX "runs_by_mob_status" ON "runs" ("mob_id", "status", "number")',
    'CREATE INDEX "runs_by_flow" ON "runs" ("mob_id", "flow_id", "number")',
    'CREATE INDEX "runs_by_flow_status" ON "runs" ("mob_id", "flow_id", "status", "number")',
    'CREATE INDEX "runs_by_end" ON "runs" ("status", "completed_at")',
    (
        'CREATE TABLE "run_states" ("run_id" TEXT NOT NULL, "flow_state" TEXT NOT NULL, '
        'PRIMARY KEY ("run_id"))'
    ),
    (
        'CREATE TABLE "step_ledger" ("run_id" TEXT NOT NULL, "position" INTEGER NOT NULL, '
        '"step_id" TEXT NOT NULL, "meerkat_id" TEXT NOT NULL, "status" TEXT NOT NULL, '
        '"output" TEXT NOT NULL, "timestamp" TEXT NOT NULL, PRIMARY KEY ("run_id", '
        '"position"))'
    ),
    'CREATE INDEX "step_ledger_by_step" ON "step_ledger" ("run_id", "step_id", "position")',
    (
        'CREATE INDEX "step_ledger_by_identity" ON "step_ledger" ("run_id", "step_id", '
        '"meerkat_id", "status", "position")'
    ),
    (
        'CREATE TABLE "failure_ledger" ("run_id" TEXT NOT NULL, "position" INTEGER NOT NULL, '
        '"step_id" TEXT NOT NULL, "reason" TEXT NOT NULL, "timestamp" TEXT NOT NULL, PRIMARY '
        'KEY ("run_id", "position"))'
    ),
    (
        'CREATE TABLE "frames" ("run_id" TEXT NOT NULL, "frame_id" TEXT NOT NULL, '
        '"kernel_state" TEXT NOT NULL, PRIMARY KEY ("run_id", "frame_id"))'
    ),
    (
        'CREATE TABLE "loops" ("run_id" TEXT NOT NULL, "loop_instance_id" TEXT NOT NULL, '
        '"kernel_state" TEXT NOT NULL, PRIMARY KEY ("run_id", "loop_instance_id"))'
    ),
    (
        'CREATE TABLE "loop_iterations" ("run_id" TEXT NOT NULL, "position" INTEGER NOT NULL, '
        '"loop_instance_id" TEXT NOT NULL, "iteration" TEXT NOT NULL, "frame_id" TEXT NOT '
        'NULL, PRIMARY KEY ("run_id", "position"))'
    ),
    (
        'CREATE INDEX "loop_iterations_by_identity" ON "loop_iterations" ("run_id", '
        '"loop_instance_id", "iteration", "frame_id", "position")'
    ),
    (
        'CREATE TABLE "root_step_outputs" ("run_id" TEXT NOT NULL, "step_id" TEXT NOT NULL, '
        '"position" INTEGER NOT NULL, "output" TEXT NOT NULL, PRIMARY KEY ("run_id", '
        '"step_id"))'
    ),
    'CREATE INDEX "root_step_outputs_by_position" ON "root_step_outputs" ("run_id", "position")',
    (
        'CREATE TABLE "loop_outputs" ("run_id" TEXT NOT NULL, "loop_id" TEXT NOT NULL, '
        '"iterations" INTEGER NOT NULL, PRIMARY KEY ("run_id", "loop_id"))'
    ),
    (
        'CREATE TABLE "loop_step_outputs" ("run_id" TEXT NOT NULL, "loop_id" TEXT NOT NULL, '
        '"iteration" INTEGER NOT NULL, "step_id" TEXT NOT NULL, "position" INTEGER NOT NULL, '
        '"output" TEXT NOT NULL, PRIMARY KEY ("run_id", "loop_id", "iteration", "step_id"))'
    ),
    (
        'CREATE INDEX "loop_step_outputs_by_position" ON "loop_step_outputs" ("run_id", '
        '"loop_id", "iteration", "position")'
    ),
    (
        'CREATE TABLE "specs" ("mob_id" TEXT NOT NULL, "revision" INTEGER NOT NULL, '
        '"definition" TEXT NOT NULL, PRIMARY KEY ("mob_id"))'
    ),
    (
        'CREATE TABLE "realm_profiles" ("name" TEXT NOT NULL, "revision" INTEGER NOT NULL, '
        '"profile" TEXT NOT NULL, "created_at" TEXT NOT NULL, "updated_at" TEXT NOT NULL, '
        'PRIMARY KEY ("name"))'
    ),
)
"""Format 1 has no claims, consumers or keys of events, and no index of events by type."""
