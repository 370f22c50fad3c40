"""Cases of step outputs: of the root frame and of the iterations of loops."""

from __future__ import annotations

import json
from typing import Any, cast

from pydantic import JsonValue

from mobstore.errors import InternalError, MobStoreError, SerializationError
from mobstore.model.ids import LoopId
from mobstore.model.run import MobRun
from mobstore.stores.runs import MobRunStore
from mobstore.testing.kit import case, expect_error, same
from mobstore.testing.samples import frame, full_run, make_run, run_id, state
from mobstore.testing.subject import Subject

FREE = 1_024  # iterations of a run's loops that need no output
EACH = 16  # more for each output


def _run(**parts: Any) -> MobRun:
    fields: dict[str, Any] = {"frames": {"frame": frame(0)}, **parts}
    return make_run(**fields)


async def _record(
    runs: MobRunStore,
    key: str,
    output: JsonValue,
    loop: tuple[str, int] | None = None,
    *,
    expected: int = 0,
    following: int = 0,
) -> bool:
    return await runs.cas_complete_step_and_record_output(
        run_id(1),
        frame_id="frame",
        expected_frame=frame(expected),
        next_frame=frame(following),
        step_output_key=key,
        step_output=output,
        loop_context=loop,
    )


async def _stored(runs: MobRunStore) -> MobRun:
    run = await runs.get_run(run_id(1))
    assert run is not None, "the run is there"
    return run


def _json(run: MobRun, loop: str | None = None) -> str:
    """Return the outputs as JSON text, which shows their order and their types."""
    if loop is None:
        return json.dumps(run.root_step_outputs)
    return json.dumps(run.loop_iteration_outputs.get(LoopId(loop)))


@case("runs.outputs.root")
async def records_root_outputs(subject: Subject) -> None:
    """A root step's output is appended; an earlier one is replaced in its position."""
    runs = (await subject.open()).runs
    await runs.create_run(_run(root_step_outputs={"m": 0}))
    recorded: tuple[tuple[str, JsonValue], ...] = (
        ("z", 1), ("a", None), ("", [1.0]), ("z", True), ("m", {"k": "v"}),
    )  # fmt: skip
    for key, output in recorded:
        same(await _record(runs, key, output), True, f"output {output} of {key!r}")
    run = await _stored(runs)
    want = '{"m": {"k": "v"}, "z": true, "a": null, "": [1.0]}'
    same(_json(run), want, "the outputs, in the order of their first recording")
    same(run.loop_iteration_outputs, {}, "the outputs of loops")


@case("runs.outputs.frame")
async def records_with_the_frame(subject: Subject) -> None:
    """Output and frame change together; the flow state is not compared."""
    runs = (await subject.open()).runs
    await runs.create_run(_run(flow_state=state(77), status="completed"))
    same(await _record(runs, "a", 1, expected=3, following=4), False, "another frame expected")
    same(await _record(runs, "a", 1, ("loop", 0), expected=3), False, "the same within a loop")
    same(await _stored(runs), _run(flow_state=state(77), status="completed"), "the run")
    same(await _record(runs, "a", 1, following=4), True, "the right frame expected")
    same(await _record(runs, "b", 2, ("loop", 0), expected=4, following=5), True, "within a loop")
    want = _run(
        flow_state=state(77),
        status="completed",
        frames={"frame": frame(5)},
        root_step_outputs={"a": 1},
        loop_iteration_outputs={"loop": ({"b": 2},)},
    )
    same(await _stored(runs), want, "the run")


@case("runs.outputs.loop")
async def records_loop_outputs(subject: Subject) -> None:
    """An iteration keeps its outputs in the order of their first recording, apart from others."""
    runs = (await subject.open()).runs
    await runs.create_run(_run(loop_iteration_outputs={"loop": ({"m": 0},), "never": ()}))
    for key, output, loop in (
        ("z", 1, ("loop", 0)), ("a", 2, ("loop", 1)), ("z", 3, ("loop", 1)), ("m", 4, ("loop", 0)),
        ("a", None, ("loop", 1)), ("a", 5, ("", 0)), ("a", 6, ("never", 0)), ("b", 7, ("loop", 0)),
    ):  # fmt: skip
        same(await _record(runs, key, output, loop), True, f"output {output} of {key} in {loop}")
    run = await _stored(runs)
    want = '[{"m": 4, "z": 1, "b": 7}, {"a": null, "z": 3}]'
    same(_json(run, "loop"), want, "the outputs of the loop")
    same(_json(run, ""), '[{"a": 5}]', "the outputs of the loop without a name")
    same(_json(run, "never"), '[{"a": 6}]', "the outputs of the loop that had none")
    same(list(run.loop_iteration_outputs), ["", "loop", "never"], "loops by name")
    same(_json(run), "{}", "the outputs of the root frame")


@case("runs.outputs.padding")
async def pads_iterations(subject: Subject) -> None:
    """Iterations that are left out become empty ones."""
    runs = (await subject.open()).runs
    await runs.create_run(_run())
    same(await _record(runs, "a", 1, ("loop", 3)), True, "iteration 3 of a new loop")
    same(_json(await _stored(runs), "loop"), '[{}, {}, {}, {"a": 1}]', "the outputs")
    same(await _record(runs, "b", 2, ("loop", 1)), True, "an iteration that was left out")
    want = '[{}, {"b": 2}, {}, {"a": 1}]'
    same(_json(await _stored(runs), "loop"), want, "the outputs")


@case("runs.outputs.allowance")
async def bounds_empty_iterations(subject: Subject) -> None:
    """All loops of a run have at most 1,024 iterations, and 16 more for each output."""
    runs = (await subject.open()).runs
    for lengths in ((FREE + 1,), (FREE, 1), (0, FREE // 2, FREE // 2 + 1)):
        loops: dict[str, Any] = {f"l{n}": ({},) * length for n, length in enumerate(lengths)}
        creation = runs.create_run(_run(loop_iteration_outputs=loops))
        await expect_error(
            SerializationError, creation, f"a run with loops of {lengths} iterations"
        )
    empty: dict[str, JsonValue] = {}
    most = [*[empty] * (FREE - 10), {"a": 0, "b": 0}]  # two outputs allow 32 more
    await runs.create_run(_run(loop_iteration_outputs={"loop": most, "other": [empty] * 10}))
    length = 1 + 2 * EACH + EACH - 2  # of a new loop, with the output that makes it
    before = await _stored(runs)
    for loop, wide in (
        ("new", length), ("loop", FREE - 9 + length), ("new", 2**63), ("loop", 2**64 - 1),
    ):  # fmt: skip
        call = _record(runs, "a", 1, (loop, wide), following=9)
        await expect_error(InternalError, call, f"iteration {wide} of {loop}")
    same(await _stored(runs), before, "the run after errors")
    same(await _record(runs, "c", 3, ("new", length - 1)), True, "the last allowed iteration")
    outputs = (await _stored(runs)).loop_iteration_outputs[LoopId("new")]
    same((len(outputs), outputs[-2], outputs[-1]), (length, empty, {"c": 3}), "its loop")
    await expect_error(InternalError, _record(runs, "a", 1, ("new", length + EACH)), "one too many")
    same(await _record(runs, "a", 1, ("new", length)), True, "the iteration that comes next")
    # Each output allows itself and fifteen more, in whichever loop.
    await expect_error(InternalError, _record(runs, "a", 1, ("other", 10 + 2 * EACH - 1)), "a gap")
    same(await _record(runs, "a", 1, ("other", 10 + 2 * EACH - 2)), True, "the widest gap")


@case("runs.outputs.context")
async def rejects_odd_contexts(subject: Subject) -> None:
    """A loop context is a loop id and an iteration from 0; any other value changes nothing."""
    runs = (await subject.open()).runs
    await runs.create_run(full_run(1))
    for odd in (("loop", -1), ("loop", 2**64), ("loop", "0"), ("loop", 1.0), ("loop", None),
                (1, 0), (None, 0), ("loop",), ("loop", 0, 0), "loop", 0):  # fmt: skip
        context = cast("tuple[str, int]", odd)
        await expect_error(
            MobStoreError, _record(runs, "a", 1, context, following=9), f"in {odd!r}"
        )
    same(await _stored(runs), full_run(1), "the run")
