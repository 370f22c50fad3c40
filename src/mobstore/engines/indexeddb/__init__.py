"""Rows in IndexedDB, for Python in a browser's page or worker (Pyodide).

engine.py       which transaction runs which script; a transaction's handlers
job.py          a script and the task that waits for it
rows.py         the tables as object stores: how reads are answered and writes applied
database.py     opening, laying out and refusing databases; the browser's errors in our words
javascript.py   what is used of the browser, with types
"""

from mobstore.engines.indexeddb.engine import IndexedDbEngine

__all__ = ["IndexedDbEngine"]
