"""Cells: values, output, tracebacks and their bounds."""

from __future__ import annotations

import pytest

from console.output import MOST as MOST_PRINTED, MOST_LINES
from console.results import MOST
from support.shells import Shell

EXPECTED = {
    "Append and poll": "appended event 1\n",
    "A compare-and-swap that loses": "A started the run\nB was too late\n",
    "An atomic call": "events written by the refused call: 0\n",
    "Claims": "Claim lost: claim console-job of worker-1, epoch 1: worker-2 holds it, epoch 2\n"
    "released: True\n",
    "Dicts for a data frame": "0 events by type: {}\n",
    "Verify": "problems: 0\n",
    "Export": "differences: []\n",
}
"""Titles of examples, and the end of what they print on an empty store."""
NO_INPUT = "OSError: a cell cannot wait for input; assign the value to a name instead\n"


def test_the_examples(shell: Shell) -> None:
    """The subscription needs another tab; tests/page/test_console.py runs it."""
    assert len(shell.offered["examples"]) == 8
    assert shell.offered["examples"].keys() - EXPECTED == {"A subscription beside other tabs"}


@pytest.mark.slow
@pytest.mark.parametrize("title", EXPECTED)
def test_an_example(shell: Shell, title: str) -> None:
    result = shell.run(shell.offered["examples"][title])
    assert "error" not in result, result
    assert shell.output().endswith(EXPECTED[title])


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("", {}),
        ("# a comment", {}),
        ("x = 1", {}),
        ("None", {}),
        ("x = 1\nx + 1", {"text": "2"}),
        ("import asyncio\nawait asyncio.sleep(0, 'slept')", {"text": "'slept'"}),
        ("await stores.events.latest_cursor()", {"text": "0"}),
        ("[n async for n in aiter_of()]", {"text": "[0, 1]"}),
        ("mobstore.__name__", {"text": "'mobstore'"}),
        ("from __future__ import annotations\n'it is allowed'", {"text": "'it is allowed'"}),
        ("if True:\n    3", {}),
        ("def f(a: 1): pass\nf.__annotations__", {"text": "{'a': 1}"}),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\nP(1)",
            {"text": "P(x=1)"},
        ),
    ],
    ids=ascii,
)
def test_values(shell: Shell, source: str, result: object) -> None:
    shell.run("async def aiter_of():\n    yield 0\n    yield 1")
    assert shell.run(source) == result


def test_names_are_kept(shell: Shell) -> None:
    shell.run("x = 41")
    shell.run("def more(): return x + 1")
    assert shell.run("more()") == {"text": "42"}
    assert shell.run("_ + 1") == {"text": "43"}
    shell.run("x = 0")
    assert shell.run("_") == {"text": "43"}


def test_a_display_is_elements(shell: Shell) -> None:
    kind, attributes, style, children = shell.run("await stores.overview()")["display"]
    assert (kind, style) == ("div", {})
    assert "mobstore-display" in attributes["class"]
    assert children[0] == [
        "div",
        {"class": "ms-head"},
        {},
        [["b", {}, {}, ["what the stores contain"]]],
    ]
    assert shell.offered["style"].startswith(".mobstore-display {")


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def _repr_html_(self): return '<script>x()</script>'\n"
        "    def __repr__(self): return 'an A'\nA()",
        "class A(mobstore.MobStores):\n    def __init__(self): pass\n"
        "    def _repr_html_(self): return '<script>x()</script>'\n"
        "    def __repr__(self): return 'an A'\nA()",
    ],
    ids=["its own class", "derived from a display that fails"],
)
def test_html_of_other_classes_is_not_shown(shell: Shell, source: str) -> None:
    assert shell.run(source) == {"text": "an A"}


def test_long_values_are_broken_into_lines(shell: Shell) -> None:
    assert shell.run("{'b' * 50: 1, 'a' * 50: 2}")["text"].count("\n") == 1
    assert shell.run("list(range(10_000))")["text"].count("\n") == 0  # pprint is slow


def test_a_forgotten_await(shell: Shell) -> None:
    assert "Write await before it." in shell.run("stores.overview()")["text"]
    shell.run("import gc; gc.collect()")
    assert shell.output() == ""  # no warning comes later


# Errors ----------------------------------------------------------------------------------------


def test_a_traceback_is_cut_to_the_cell(shell: Shell) -> None:
    assert shell.run("def fail(event):\n    raise KeyError(event)") == {}
    error = shell.run("x = 1\nfail('a')")["error"]
    lines = [line.strip() for line in error.splitlines() if not set(line) <= set(" ~^")]
    assert lines == [
        "Traceback (most recent call last):",
        'File "<cell 2>", line 2, in <module>',
        "fail('a')",
        'File "<cell 1>", line 2, in fail',
        "raise KeyError(event)",
        "KeyError: 'a'",
    ]


def test_frames_of_the_library_are_left_out(shell: Shell) -> None:
    error = shell.run("await stores.events.append(3)")["error"]
    assert error.count("File ") == 1
    assert error.endswith("UsageError: Internal error: event must be a NewMobEvent, not int\n")


def test_frames_between_cells_stay(shell: Shell) -> None:
    error = shell.run("sorted([1, 2], key=lambda n: n / 0)")["error"]
    assert error.count('File "<cell 1>"') == 2
    error = shell.run("import functools\nfunctools.reduce(lambda a, b: 1 / 0, [1, 2])")["error"]
    assert error.count('File "<cell 2>"') == 2


def test_causes_and_groups(shell: Shell) -> None:
    error = shell.run(
        "try:\n    await stores.events.append(3)\n"
        "except Exception as error:\n    raise ExceptionGroup('two', [error, KeyError(1)])"
    )["error"]
    assert "During handling of the above exception" in error
    assert "stores/events.py" not in error
    assert "console/session.py" not in error
    assert error.count("UsageError") == 2


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("x = (", "SyntaxError: '(' was never closed\n"),
        ("return 1", "SyntaxError: 'return' outside function\n"),
        ("raise SystemExit(2)", "SystemExit: 2\n"),
        ("exit(3)", "SystemExit: 3\n"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt\n"),
        ("import asyncio\nraise asyncio.CancelledError", "asyncio.exceptions.CancelledError\n"),
        ("raise BaseExceptionGroup('g', [KeyError(1)])", "------------------------------------\n"),
        ("input('name? ')", NO_INPUT),
        ("import sys\nsys.stdin.readline()", NO_INPUT),
        ("import sys\nlist(sys.stdin)", NO_INPUT),
        ("import sys\nsys.stdin.read()", NO_INPUT),
        (
            "class E(Exception):\n    def __str__(self): raise self\nraise E",
            "<exception str() failed>\n",
        ),
        (
            "class R:\n    def __repr__(self): return 1\nR()",
            "TypeError: __repr__ returned non-string (type int)\n",
        ),
        ("'\\ud800' + 1", 'TypeError: can only concatenate str (not "int") to str\n'),
        ("x = 1\0", "SyntaxError: source code string cannot contain null bytes\n"),
        ("def r(): r()\nr()", "RecursionError: maximum recursion depth exceeded\n"),
        ("raise KeyError('k' * 1_000_000)", "more characters"),
    ],
    ids=ascii,
)
def test_errors(shell: Shell, source: str, end: str) -> None:
    error = shell.run(source)["error"]
    assert error.endswith(end)
    assert len(error) < MOST + 100
    assert shell.run("1 + 1") == {"text": "2"}  # the session continues


# Output ----------------------------------------------------------------------------------------


def test_output_comes_at_once(shell: Shell) -> None:
    seen: list[str] = []
    shell.session.names["look"] = lambda: seen.append(shell.output())
    shell.run("print('one')\nlook()\nprint('two', end='')\nlook()")
    assert seen == ["one\n", "one\ntwo"]
    shell.run("import sys\nprint('to stderr', file=sys.stderr)")
    assert shell.output() == "to stderr\n"


def test_output_of_a_task_belongs_to_its_cell(shell: Shell) -> None:
    shell.run(
        "import asyncio\nready = asyncio.Event()\n"
        "async def later():\n    await ready.wait()\n    print('late')\n"
        "task = asyncio.create_task(later())"
    )
    shell.run("print('early')\nready.set()\nawait task")
    assert shell.output() == "early\n"
    assert "".join(shell.printed[1]) == "late\n"


@pytest.mark.slow
def test_output_is_bounded(shell: Shell) -> None:
    shell.run("for n in range(1_000_000): print('x' * 50)")
    assert MOST_PRINTED < len(shell.output()) < MOST_PRINTED + 100
    assert shell.output().endswith(
        "… cut: a cell shows at most 100,000 printed characters in 10,000 lines\n"
    )
    shell.run("print('again')")
    assert shell.output() == "again\n"


@pytest.mark.parametrize("source", ["for n in range(20_000): print()", r"print('\n' * 20_000)"])
def test_lines_are_bounded(shell: Shell, source: str) -> None:
    shell.run(f"print('first')\n{source}\nprint('never')")
    lines = shell.output().split("\n")
    assert lines[0] == "first"
    assert lines[-2].startswith("… cut: ")
    assert MOST_LINES <= len(lines) < MOST_LINES + 5
    assert shell.output().count("cut") == 1
    shell.run(f"print('x\\n' * {MOST_LINES}, end='')")
    assert shell.output() == "x\n" * MOST_LINES


def test_output_up_to_the_bound_is_not_cut(shell: Shell) -> None:
    shell.run(f"print('x' * {MOST_PRINTED}, end='')")
    assert (len(shell.output()), set(shell.output())) == (MOST_PRINTED, {"x"})
    shell.run(f"print('x' * {MOST_PRINTED}, end='')\nfor n in range(9): print(n)")
    assert shell.output()[MOST_PRINTED:].startswith("\n… cut")
    assert shell.output().count("cut") == 1
    shell.run(f"print('x' * {MOST_PRINTED - 1}, end='')\nprint('yz', end='')\nprint('never')")
    assert shell.output()[MOST_PRINTED - 1 :].startswith("y\n… cut")


def test_values_are_bounded(shell: Shell) -> None:
    assert (
        shell.run("'x' * 1_000_000")["text"]
        == "'" + "x" * (MOST - 1) + "\n… 900,002 more characters"
    )
