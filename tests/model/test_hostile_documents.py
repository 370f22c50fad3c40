"""Documents made to be expensive: rejected with a message; time and memory linear in the text."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import count
from time import process_time
from typing import Any

import pytest

from mobstore import (
    InternalError,
    KernelState,
    MobDefinition,
    SerializationError,
    Timestamp,
    event_kind_from_json,
)
from mobstore.codec.arguments import number, output_text
from mobstore.codec.events import read_all, read_events
from mobstore.codec.runs import RunRows, outputs_needed, read_header, read_run
from mobstore.codec.specs import read_spec
from mobstore.model.json import encode_json, parse
from mobstore.scripts.tables import EventRow, LoopOutputRow, LoopStepOutputRow, SpecRow
from mobstore.testing import samples

pytestmark = pytest.mark.slow

STARTED = '{{"type":"flow_started","run_id":"{}","flow_id":"f","params":{}}}'
RUN = "24ede6a4-6b4c-4242-8a23-d5962217bead"
TIME = "2026-03-04T05:06:07.089000000Z"


# Memory ----------------------------------------------------------------------------------------

# For each line with a kind and numbers of values: reads documents of so many values, each in a
# fork of its own, and prints their sizes and peaks in bytes.
MEASURE = """
import os, resource, signal, sys
import mobstore
from mobstore.model.record import decode
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))

def many(n, text):
    return ",".join(text.replace("#", f"{i:x}") for i in range(n))

def definition(n, part, text):
    return '{"id":"m","%s":{%s}}' % (part, many(n, text))

def steps(n, text):
    return '{"id":"m","flows":{"f":{"steps":{%s}}}}' % many(n, text)

def free(text):
    return '{"model":"m","output_schema":%s}' % text

SPEC, PROFILE, STATE = mobstore.MobDefinition, mobstore.Profile, mobstore.KernelState
KINDS = {
    "empty arrays": lambda n: (PROFILE, free("[%s]" % many(n // 2, "[]"))),
    "small objects": lambda n: (PROFILE, free("[%s]" % many(n // 2, '{"":0}'))),
    "deep objects": lambda n: (
        PROFILE, free("[%s]" % many(n // 111, '{"":' * 110 + "0" + "}" * 110))),
    "long keys": lambda n: (PROFILE, free("{%s}" % many(n, '"%s#":0' % ("k" * 60)))),
    "twice": lambda n: (PROFILE, '{"model":"m","output_schema":{%s}}' % many(n, '"":0')),
    "profiles": lambda n: (SPEC, definition(n // 2, "profiles", '"#":{"model":""}')),
    "servers": lambda n: (SPEC, definition(n // 2, "mcp_servers", '"#":{}')),
    "steps": lambda n: (SPEC, steps(n // 3, '"#":{"role":"","message":""}')),
    "sets": lambda n: (STATE, '{"phase":"","fields":{"f":%s{"type":"set","items":[%s]}%s}}' % (
        '{"type":"set","items":[{"type":"none"},' * 50,
        ",".join('{"type":"u64","value":%d}' % i for i in range(n // 3)), "]}" * 50)),
    "wrong steps": lambda n: (SPEC, steps(n // 3, '"#":{"role":0,"message":[0]}')),
    "wrong skills": lambda n: (SPEC, definition(n, "skills", '"#":0')),
    "wrong items": lambda n: (PROFILE, '{"model":"","skills":[%s]}' % many(n, "0")),
    "wrong rules": lambda n: (
        SPEC, '{"id":"m","topology":{"mode":"strict","rules":[%s]}}' % many(n, "{}")),
    "wrong bindings": lambda n: (SPEC, definition(n, "profiles", '"#":[]')),
    "wrong blocks": lambda n: (
        SPEC, steps(1, '"#":{"role":"","message":[%s]}' % many(n, "0"))),
    "wrong states": lambda n: (STATE, '{"phase":"","fields":{%s}}' % many(n, '"#":0')),
}

def peak(kind, document):
    there, here = os.pipe()
    if os.fork() == 0:
        try:
            model = decode(kind, document)
            end = b""
        except mobstore.SerializationError as error:
            end = b"" if len(str(error)) < 1000 else b"a long message"
        except BaseException as error:
            end = repr(error)[:99].encode()
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        os.write(here, b"%d %s" % (most, end))
        os._exit(0)
    os.close(here)
    os.wait()
    most, _, end = os.read(there, 200).partition(b" ")
    os.close(there)
    assert not end, end
    return int(most)

def measure(name, *sizes):
    signal.alarm(60)
    none = peak(PROFILE, '{"model":""}')
    for n in map(int, sizes):
        kind, document = KINDS[name](n)
        peak(PROFILE, '{"model":""}')
        print(len(document), peak(kind, document) - peak(PROFILE, '{"model":""}'), flush=True)

for line in sys.stdin:
    if os.fork() == 0:  # no kind finds memory that another one has freed
        measure(*line.rstrip().split("\\t"))
        os._exit(0)
    print("failed" if os.wait()[1] else "done", flush=True)
"""
KINDS = (
    "empty arrays", "small objects", "deep objects", "long keys", "twice", "profiles", "servers",
    "steps", "sets", "wrong steps", "wrong skills", "wrong items", "wrong rules",
    "wrong bindings", "wrong blocks", "wrong states",
)  # fmt: skip


@pytest.fixture(scope="module")
def measuring() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", MEASURE],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    ) as process:  # fmt: skip
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are measured in forks, in kilobytes")
@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_linear(kind: str, measuring: subprocess.Popen[str]) -> None:
    """A value takes at most a kilobyte, and twice as many take twice as much."""
    assert measuring.stdin
    assert measuring.stdout
    sizes = 2**14, 2**15
    measuring.stdin.write("\t".join(map(str, (kind, *sizes))) + "\n")
    peaks: list[int] = []
    while (line := measuring.stdout.readline()) not in {"done\n", "failed\n", ""}:
        peaks.append(int(line.split()[1]))
    assert line == "done\n", "see the trace of the child"
    for size, peak in zip(sizes, peaks, strict=True):
        assert peak < 1024 * size + 2**22
    assert peaks[1] < 3 * peaks[0] + 2**22


# Time ------------------------------------------------------------------------------------------

SIZE = 2**17


def said(read: Callable[[], object]) -> str:
    """Return the error of a document; empty if it is read."""
    try:
        read()
    except SerializationError as error:
        return str(error)
    return ""


STEP = '{"id":"m","flows":{"f":{"steps":{"s":{"role":"r","message":"","condition":%s}}}}}'


def deep(leaf: str, levels: int, before: str) -> str:
    return f'[{before}{{"d":' * levels + leaf + "}]" * levels


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * SIZE,
        '\\"' * SIZE,
        '"' + "\\" * SIZE,
        "[" + '"' * SIZE,
        '["' + '\\"[' * SIZE + '"]',
        "[" * SIZE,
        "[" * 127 + "[]," * SIZE,
        "[]" * SIZE,
        "1" * SIZE,
        f"1.{'1' * SIZE}",
        f"1e{'1' * SIZE}",
        "-" * SIZE,
        '"' + "\\ud83d\\ude00" * SIZE + '"',
        '["' + "\\ud83d" * SIZE + '"]',
        "{" + '"k":1,' * SIZE + '"k":1}',
        "{" + ",".join(f'"{"k" * 50}{n}":1' for n in range(SIZE)) + "}",
        " " * SIZE,
        '"' + "\u0000" * SIZE,
        deep("1e999", 60, "[],[],"),
        deep("1e999", 60, "").replace("1e999", f"[{'0,' * SIZE}1e999]"),
    ],
    ids=count(),
)
def test_time_is_linear(text: str) -> None:
    """Quadratic time would take minutes at this size."""
    started = process_time()
    for read in (
        lambda: parse(text, bounded=True),
        lambda: KernelState.from_json(text),
        lambda: event_kind_from_json(text),
        lambda: event_kind_from_json(STARTED.format(RUN, text)),
    ):
        assert len(said(read)) < 500
    assert process_time() - started < 15


@pytest.mark.parametrize("leaf", [float("nan"), "\ud800", object()])
def test_the_place_of_a_fault_costs_one_walk(leaf: Any) -> None:
    value: Any = [*range(SIZE), leaf]
    for _ in range(100):
        value = {"d": [value]}
    started = process_time()
    with pytest.raises(SerializationError, match=rf"^Serialization error: o\.d\.0.*\.{SIZE}: "):
        encode_json(value, 255, "o")
    assert process_time() - started < 15


def test_sets_in_sets_are_ordered_once() -> None:
    """Each of fifty levels was visited once by every level above it."""
    items = ",".join(f'{{"type":"u64","value":{n}}}' for n in range(2**14))
    inner = f'{{"type":"set","items":[{items}]}}'
    value = '{"type":"set","items":[{"type":"none"},' * 50 + inner + "]}" * 50
    started = process_time()
    state = KernelState.from_json(f'{{"phase":"","fields":{{"f":{value}}}}}')
    assert len(state.fields) == 1
    assert KernelState("", dict(state.fields)) == state
    assert process_time() - started < 15


@pytest.mark.parametrize(
    "text",
    [
        " " * SIZE,
        "2026-03-04T" + " " * SIZE,
        "1" * SIZE,
        "+" + "1" * SIZE + "-01-01T00:00:00Z",
        "+" + "1" * 4000 + "-01-01T00:00:00Z",
        "2026-03-04T05:06:07." + "1" * SIZE,
        "2026-03-04T05:06:07+00" + ":" * SIZE,
    ],
    ids=count(),
)
def test_moments(text: str) -> None:
    started = process_time()
    with pytest.raises(ValueError, match=r"^.{1,200}$"):
        Timestamp(text)
    assert process_time() - started < 5


# TOML ------------------------------------------------------------------------------------------

PARTS = ("a", '"a.b"', "'a\"'", '"\\""', "-")
PLACES = ("{}=1", "  {} = 1", "[{}]", "[[ {} ]]", "x={{{}=1}}", "x={{a=1, {}=1}}")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("dot", [".", " . ", "\t."])
def test_keys_of_toml_have_sixteen_parts(part: str, place: str, dot: str) -> None:
    for parts in (16, 17, 40_000):
        key = dot.join([part] * (parts - 1) + ["z"])
        started = process_time()
        with pytest.raises(SerializationError) as caught:
            MobDefinition.from_toml("b = 1\n" + place.format(key))
        assert ("16 parts" in str(caught.value)) is (parts > 16), caught.value
        assert process_time() - started < 5


def test_dots_in_text_are_no_keys() -> None:
    prose = "It ends. " * 40 + "1.2.3.4 " * 40
    toml = f'[mob]\nid = "m"\n[skills.s]\nsource = "inline"\ncontent = """\n{prose}\n"""\n'
    (skill,) = MobDefinition.from_toml(toml).skills.values()
    assert prose in skill.to_json()


def test_toml_has_a_mebibyte_at_most() -> None:
    mob = '[mob]\nid = "m"\n#'
    assert MobDefinition.from_toml(mob + "x" * (2**20 - len(mob))).id == "m"
    with pytest.raises(SerializationError, match="at most 1,048,576 characters, not 1,048,577"):
        MobDefinition.from_toml(mob + "x" * (2**20 - len(mob) + 1))


@pytest.mark.parametrize(
    "toml",
    [
        "a=" + "[" * SIZE,
        "a={" * SIZE,
        "a=0x" + "f" * SIZE,
        "a=[" + "1" * SIZE + "]",
        f"{'k' * SIZE}=1\n" * 2,
        f"{'k' * SIZE}={{}}\n[{'k' * SIZE}.a]",
        f'[mob]\nid="m"\n[profiles]\n{"k" * SIZE}=1',
        f'[mob]\nid="m"\n[profiles."{chr(92)}u001b[31m"]\nx=1',
    ],
    ids=count(),
)
def test_what_is_said_of_toml_is_short(toml: str) -> None:
    with pytest.raises(SerializationError) as caught:
        MobDefinition.from_toml(toml)
    assert_short(caught.value)
    assert "\x1b" not in str(caught.value)


# Loops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [(1025,), (1024, 1), (2**40,), (1024, 0, 0, 7)])
def test_a_row_of_a_loop_costs_no_more_than_its_outputs_allow(lengths: tuple[int, ...]) -> None:
    """The row is rejected before anything is built from it."""
    stored = RunRows(samples.make_run(1))
    loops = [LoopOutputRow(stored.run.run_id, f"l{n}", length) for n, length in enumerate(lengths)]
    parts = (stored.state, (), (), (), (), (), (), loops, ())
    words = f"its loops have {sum(lengths)} iterations, which is more than their 0 outputs allow"
    with pytest.raises(SerializationError, match=f"run {stored.run.run_id}: {words}"):
        read_run(stored.run._replace(number=1), parts)
    outputs = [
        LoopStepOutputRow(stored.run.run_id, "l0", 0, f"{n}", n, "1")
        for n in range(outputs_needed(sum(lengths)) if sum(lengths) < 2000 else 0)
    ]
    if outputs:
        read = read_run(stored.run._replace(number=1), (*parts[:-1], outputs))
        assert sum(map(len, read.loop_iteration_outputs.values())) == sum(lengths)


def test_a_negative_length_makes_no_room_for_another_loop() -> None:
    stored = RunRows(samples.make_run(1))
    loops = [
        LoopOutputRow(stored.run.run_id, "a", -(2**40)),
        LoopOutputRow(stored.run.run_id, "b", 2**40),
    ]
    with pytest.raises(SerializationError, match="more than their 0 outputs allow"):
        read_run(stored.run._replace(number=1), (stored.state, (), (), (), (), (), (), loops, ()))


def test_stored_json_as_deep_as_the_stack() -> None:
    stored = RunRows(samples.make_run(1))
    row = stored.run._replace(number=1, activation_params="[" * SIZE + "]" * SIZE)
    with pytest.raises(SerializationError, match=f"run {row.run_id} cannot be read") as caught:
        read_header(row, None)
    assert_short(caught.value)


@pytest.mark.parametrize(
    ("iterations", "outputs"), [(0, 0), (1024, 0), (1025, 1), (1040, 1), (1041, 2)]
)
def test_how_many_outputs_loops_need(iterations: int, outputs: int) -> None:
    assert outputs_needed(iterations) == outputs


# Messages --------------------------------------------------------------------------------------

LONG = "k" * 2**20
RETIRED = '{"type":"meerkat_retired","meerkat_id":"m","role":"r","member_ref":%s}'
STATE = '{"phase":"","fields":{"f":%s}}'


def deep_condition(leaf: str) -> str:
    return '{"op":"not","expr":' * 60 + leaf + "}" * 60


def assert_short(error: BaseException) -> None:
    """Check that neither the error nor its causes show more than some names."""
    assert len("".join(traceback.format_exception(error))) < 20_000
    chain: BaseException | None = error
    while chain is not None:
        assert len(str(chain)) < 1000, type(chain)
        assert not hasattr(chain, "doc")
        assert not isinstance(chain, UnicodeError)
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)


def spec(part: str) -> Callable[[], object]:
    return lambda: MobDefinition.from_json(f'{{"id":"m",{part}}}')


@pytest.mark.parametrize(
    "call",
    [
        spec(f'"profiles":{{"{LONG}":1}}'),
        spec(f'"backend":{{"default":"{LONG}"}}'),
        spec(f'"topology":{{"mode":"{LONG}","rules":[]}}'),
        spec(f'"skills":{{"s":{{"source":"{LONG}"}}}}'),
        spec(f'"profiles":{{"p":{{"model":"m","output_schema":{{"{LONG}":NaN}}}}}}'),
        lambda: MobDefinition.from_json(f'{{"id":"{LONG}'),
        lambda: MobDefinition.from_json(f"[{LONG}"),
        lambda: MobDefinition.from_json(LONG.encode() + b"\xff"),
        lambda: MobDefinition.from_json('"\\ud800' + LONG + '"'),
        lambda: MobDefinition.from_json("9" * 2**20),
        spec(f'"skills":{json.dumps(dict.fromkeys(map(str, range(9999)), 0))}'),
        lambda: MobDefinition.from_json(STEP % deep_condition(f'{{"op":"{LONG}"}}')),
        lambda: event_kind_from_json(f'{{"type":"{LONG}"}}'),
        lambda: event_kind_from_json(STARTED.format(LONG, 1)),
        lambda: event_kind_from_json(RETIRED % f'"{LONG}"'),
        lambda: event_kind_from_json(RETIRED % f'{{"kind":"session","session_id":"{LONG}"}}'),
        lambda: KernelState.from_json(f'{{"phase":"","fields":{{"{LONG}":0}}}}'),
        lambda: KernelState.from_canonical(LONG).fields,
        lambda: KernelState.from_canonical(STATE % '{"type":"set","items":[5]}').fields,
        lambda: KernelState.from_canonical(STATE % '{"type":"u64"}').fields,
        lambda: KernelState.from_canonical("[]").phase,
        lambda: KernelState.from_canonical('{"phase":7,"fields":{}}').phase,
        lambda: KernelState.from_canonical('{"phase":"","fields":7}').fields,
        lambda: KernelState("", {"f": LONG + "\ud800"}),
        lambda: output_text({LONG: float("nan")}, "output"),
        lambda: output_text({LONG: {"a": "\ud800"}}, "output"),
        lambda: output_text(LONG + "\ud800", "output"),
        lambda: read_spec(SpecRow(LONG, 1, f'{{"id":"m","profiles":{{"{LONG}":1}}}}')),
        lambda: read_spec(SpecRow(LONG, 1, LONG)),
        lambda: read_all([EventRow(1, "m", TIME, "", "", f'{{"typ":"{LONG}"}}')]),
        lambda: read_all([EventRow(1, "m", LONG, "", "", '{"type":"mob_reset"}')]),
    ],
    ids=count(),
)  # fmt: skip
def test_what_is_said_is_short(call: Callable[[], object]) -> None:
    with pytest.raises(SerializationError) as caught:
        call()
    assert_short(caught.value)


@pytest.mark.parametrize("value", [10**5000, -(10**5000)], ids=count())
def test_numbers_that_python_does_not_write(value: int) -> None:
    with pytest.raises(InternalError, match="limit with more than 100 digits"):
        number(value, "limit")


# Stored times ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "", "noon", "x" * 29 + "Z", TIME[:-1], TIME + "Z", " " + TIME, TIME + "\n",
        TIME[:-2] + "\u0661Z",
        "2026-03-04 05:06:07.089000000Z", "\x1b[31m" + TIME[5:], "[/nope]" + TIME[7:],
        "Y12026-03-04T05:06:07.089000000Z", "Y0120261-03-04T05:06:07.089000000Z",
        "+012026-03-04T05:06:07.089000000Z", "Y" + TIME, "-" + TIME, TIME[:-2] + "\ud800Z",
        TIME[:5] + "\x00" + TIME[6:], 5, b"2026-03-04T05:06:07.089000000Z", None,
    ],
)  # fmt: skip
def test_what_is_no_stored_moment(text: Any) -> None:
    with pytest.raises(ValueError, match=r"not the text of a timestamp|surrogates not allowed"):
        Timestamp.from_sortable(text)
    _, unreadable = read_events([EventRow(7, "m", text, "mob_reset", "", '{"type":"mob_reset"}')])
    assert "table events, cursor 7 cannot be read" in str(unreadable[0].error)
    assert_short(unreadable[0].error)


@pytest.mark.parametrize("text", [TIME, "Y012026" + TIME[4:], "-999999" + TIME[4:]])
def test_stored_moments(text: str) -> None:
    assert Timestamp.from_sortable(text).sortable == text
    assert Timestamp(str(Timestamp.from_sortable(text))).sortable == text
