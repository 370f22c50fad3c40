"""The Python part of the page: calls on a store, with JSON arguments and results.

It runs in a Web Worker under Pyodide, and natively in tests. The page uses `Inspector.call` only.
`inspector.results` and `inspector.run_results` declare the types of the results.
"""

from inspector.calls import Inspector

__all__ = ["Inspector"]
