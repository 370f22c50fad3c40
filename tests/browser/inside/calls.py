"""The inner end of the harness: calls a function by name and tells the outside what came of it."""

from __future__ import annotations

import inspect
import json
import traceback
from collections.abc import Callable
from importlib import import_module

_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None]) -> None:
    """Hand all that is said to this function, as JSON."""
    _listeners.append(listener)


def say(value: object) -> None:
    """Tell the outside something before the call ends; any JSON."""
    for listener in _listeners:
        listener(json.dumps(value))


async def call(program: str, values: str) -> str:
    """Call `module:function` of this folder, async or not; its result as JSON, or its error's."""
    module, _, name = program.partition(":")
    try:
        result = getattr(import_module(f"browser.inside.{module}"), name)(*json.loads(values))
        if inspect.isawaitable(result):
            result = await result
        return json.dumps({"result": result})
    except BaseException:  # noqa: BLE001 - whatever it is, the outside has to hear of it
        return json.dumps({"error": traceback.format_exc()})
