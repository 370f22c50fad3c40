"""Execution of cells in one namespace, with `await` outside of functions."""

from __future__ import annotations

import ast
import inspect
import json
import linecache
import sys
from collections.abc import Callable
from types import CodeType, ModuleType

import mobstore
from console.examples import EXAMPLES
from console.output import Cell, CellStream, current
from console.results import CELL, Result, describe_error, describe_value
from mobstore.notebook.style import STYLE

_MODULE = "cells"  # the module of the names; classes and dataclasses look it up
_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class Session:
    """The names that cells share: `mobstore`, `stores`, and those that cells assign.

    `_` is the last value of the last cell that had one.
    """

    def __init__(self, output: CellStream) -> None:
        self._output = output
        module = sys.modules[_MODULE] = ModuleType(_MODULE)
        self.names: dict[str, object] = vars(module)
        self.names["mobstore"] = mobstore

    async def open(self, url: str) -> str:
        """Open the store, and return the style sheet of displays and the examples as JSON.

        Raises:
            MobStoreError: the store cannot be opened.
        """
        self.names["stores"] = await mobstore.open_stores(url)
        return json.dumps({"style": STYLE, "examples": EXAMPLES})

    async def run(self, number: int, source: str) -> str:
        """Run a cell, and return its `Result` as JSON."""
        cell = self._output.last = Cell(number)
        token = current.set(cell)
        try:
            result = await self._result(f"{CELL}{number}>", source)
        finally:
            current.reset(token)
        return json.dumps(result)

    async def _result(self, file: str, source: str) -> Result:
        # Tracebacks find the lines of cells here. Without a time, they are never checked.
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            return describe_value(await self._value(file, source))
        except BaseException as error:  # noqa: BLE001 - a cell may raise anything, SystemExit too
            return describe_error(error)

    async def _value(self, file: str, source: str) -> object:
        """Execute statements, and return the value of the last one if it is an expression.

        Other values than None are kept as `_`.
        """
        statements = ast.parse(source, file)
        last = statements.body[-1] if statements.body else None
        if not isinstance(last, ast.Expr):
            await self._execute(compile(statements, file, "exec", _FLAGS, dont_inherit=True))
            return None
        del statements.body[-1]
        expression = ast.Expression(last.value)
        before = compile(statements, file, "exec", _FLAGS, dont_inherit=True)
        value = compile(expression, file, "eval", _FLAGS, dont_inherit=True)
        await self._execute(before)
        result = await self._execute(value)
        if result is not None:
            self.names["_"] = result
        return result

    async def _execute(self, code: CodeType) -> object:
        value = eval(code, self.names)  # noqa: S307 - the purpose of a console
        return await value if code.co_flags & inspect.CO_COROUTINE else value


def start(post: Callable[[int, str], None]) -> Session:
    """Start a session whose cells print to `post`; it replaces the standard streams."""
    sys.stdin = sys.stdout = sys.stderr = output = CellStream(post)
    return Session(output)
