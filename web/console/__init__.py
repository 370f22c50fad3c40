"""The Python console of the page: cells run on the store that the page shows.

It runs in a Web Worker of its own under Pyodide, and natively in tests. `start` is all that the
worker calls.

session.py     `Session`: the names and the execution of cells
output.py      printed text, attributed to the cell that printed it
results.py     the last value and errors of a cell, bounded
examples.py    the examples of the menu
"""

from console.session import Session, start

__all__ = ["Session", "start"]
