"""A stand-in for the inspector's page: calls as JSON, with results checked for their shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from types import UnionType
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from inspector import Inspector
from inspector.results import Failure
from mobstore import MobStores

T = TypeVar("T")


class Page:
    """An open inspector with an event loop of its own; close it."""

    def __init__(self, url: str = "memory:") -> None:
        self.inspector = Inspector()
        self.told: list[tuple[int, int]] = []
        self._runner = asyncio.Runner()
        self.ask("open", url=url)

    @property
    def stores(self) -> MobStores:
        """The stores that the inspector has open."""
        return self.inspector.stores

    def ask(self, method: str, **params: object) -> Any:
        """Call, and check that the result has exactly the documented shape."""
        answer = self._call(method, params)
        assert answer.keys() == {"result"}, answer
        shape = get_type_hints(getattr(Inspector, method))["return"]
        _require(answer["result"], shape, method)
        return answer["result"]

    def failure(self, method: str, **params: object) -> Failure:
        """Make a call that must fail; return the failure."""
        answer = self._call(method, params)
        assert answer.keys() == {"error"}, answer
        failure: Failure = answer["error"]
        _require(failure, Failure, method)
        assert failure["message"].endswith("."), failure
        assert failure["way_out"].endswith("."), failure
        return failure

    def run(self, task: Coroutine[Any, Any, T]) -> T:
        """Change the stores without the inspector's knowledge."""
        return self._runner.run(task)

    def close(self) -> None:
        """Close the store and the loop."""
        self.ask("close")
        self._runner.close()

    def _call(self, method: str, params: dict[str, object]) -> dict[str, Any]:
        told: Callable[[int, int], None] = lambda done, total: self.told.append((done, total))  # noqa: E731
        text = self.run(self.inspector.call(method, json.dumps(params), told))
        answer: dict[str, Any] = json.loads(text)
        return answer


def _require(value: Any, shape: Any, where: str) -> None:
    """Check that a value of parsed JSON has a shape."""
    origin, inner = get_origin(shape), get_args(shape)
    if is_typeddict(shape):
        fields, hints = _object(value, where), get_type_hints(shape)
        missing = hints.keys() - fields.keys() if shape.__total__ else set[str]()
        assert not missing, f"{where} lacks {missing}"
        assert fields.keys() <= hints.keys(), f"{where} has more: {list(fields)}"
        for key, item in fields.items():
            _require(item, hints[key], f"{where}.{key}")
    elif origin in {Union, UnionType}:
        assert any(_fits(value, option) for option in inner), f"{where}: {value!r}"
    elif origin is Literal:
        assert value in inner, f"{where}: {value!r}"
    elif origin is list:
        assert type(value) is list, f"{where} is no list"
        for place, item in enumerate(cast("list[object]", value)):
            _require(item, inner[0], f"{where}[{place}]")
    elif origin is dict:
        for key, item in _object(value, where).items():
            _require(item, inner[1], f"{where}.{key}")
    else:
        assert type(value) is shape, f"{where}: {value!r} is no {shape}"


def _object(value: object, where: str) -> dict[str, object]:
    assert type(value) is dict, f"{where} is no object"
    return cast("dict[str, object]", value)


def _fits(value: object, shape: Any) -> bool:
    try:
        _require(value, shape, "")
    except AssertionError:
        return False
    return True
