"""Untyped access to JavaScript."""

from __future__ import annotations

from importlib import import_module
from typing import Any

js: Any = import_module("js")
ffi: Any = import_module("pyodide.ffi")
pyodide: Any = import_module("pyodide_js")
