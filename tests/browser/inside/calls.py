"""The harness's end in Python: calls a function by name and returns its outcome."""

from __future__ import annotations

import inspect
import json
import traceback
from collections.abc import Callable
from importlib import import_module

_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None]) -> None:
    """Call this function with each message, as JSON."""
    _listeners.append(listener)


def send(value: object) -> None:
    """Send a message to the test before the call ends; any JSON."""
    for listener in _listeners:
        listener(json.dumps(value))


async def call(program: str, values: str) -> str:
    """Call `module:function` of this folder, async or not; return its result or error as JSON."""
    module, _, name = program.partition(":")
    try:
        result = getattr(import_module(f"browser.inside.{module}"), name)(*json.loads(values))
        if inspect.isawaitable(result):
            result = await result
        return json.dumps({"result": result})
    except BaseException:  # noqa: BLE001 - returned to the test
        return json.dumps({"error": traceback.format_exc()})
