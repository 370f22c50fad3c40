"""The page's Python: what the mob inspector asks of a store, as JSON.

Runs in a Web Worker under Pyodide, and natively in tests. `Inspector.call` is the only door;
`inspector.shapes` describes every result.
"""

from inspector.calls import Inspector

__all__ = ["Inspector"]
