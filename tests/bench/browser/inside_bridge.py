"""Crossings of the bridge between Python and JavaScript: their number and their cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import perf_counter
from typing import Any
from unittest.mock import patch

from bench.browser import inside
from mobstore.engines.indexeddb import engine
from mobstore.engines.indexeddb.javascript import Browser, browser

_js: Any = import_module("js")
_ffi: Any = import_module("pyodide.ffi")
_REPEATED = 10
_TIMES = 200
_crossed = Counter[str]()


async def crossings(job: str, options: str) -> float:
    """Return how often one operation of a job crosses the bridge."""
    with patch.object(engine, "browser", _counting_browser):
        player = await inside.seat(job, options)
    await player.play(_REPEATED)
    _crossed.clear()
    await player.play(_REPEATED)
    return _crossed.total() / _REPEATED


async def costs(other: Callable[[int], Awaitable[float]]) -> str:
    """Return the seconds of two operations, in a row and each after a call of `other`, as JSON."""
    text = _js.JSON.parse('{"short": "text"}')
    places = dict.fromkeys(range(1000), 0)

    def cross() -> None:
        text.short  # noqa: B018 - the crossing

    def stay() -> None:
        for place in range(50):
            places[place] = len(str(place))

    found: dict[str, list[float]] = {}
    for name, work in (("cross", cross), ("stay", stay)):
        for rested in (False, True):
            times: list[float] = []
            for _ in range(_TIMES):
                if rested:
                    await other(1)
                start = perf_counter()
                work()
                times.append(perf_counter() - start)
            found.setdefault(name, []).append(sum(times) / _TIMES)
    return json.dumps(found)


def _counting_browser() -> Browser:
    found = browser()
    counted = Browser(*map(_counted, found))

    def value(plain: object) -> Any:
        _crossed["call"] += 1
        return _counted(found.value(plain))

    def handler(function: Callable[..., None]) -> Any:
        def called(*values: object) -> None:
            _crossed["event"] += 1
            function(*values)

        return _ffi.create_proxy(called)

    return counted._replace(value=value, handler=handler)


def _counted(value: Any) -> Any:
    return _Counted(value) if isinstance(value, _ffi.JsProxy) else value


def _plain(value: Any) -> Any:
    return value.__dict__["target"] if isinstance(value, _Counted) else value


class _Counted:
    """A JavaScript object that counts its uses."""

    def __init__(self, target: Any) -> None:
        self.__dict__["target"] = target

    def __getattr__(self, name: str) -> Any:
        _crossed["read"] += 1
        return _counted(getattr(self.target, name))

    def __setattr__(self, name: str, value: Any) -> None:
        _crossed["assignment"] += 1
        setattr(self.target, name, _plain(value))

    def __setitem__(self, place: Any, value: Any) -> None:
        _crossed["assignment"] += 1
        self.target[place] = _plain(value)

    def __call__(self, *values: Any) -> Any:
        _crossed["call"] += 1
        return _counted(self.target(*map(_plain, values)))

    def __iter__(self) -> Any:
        return iter(self.target)
