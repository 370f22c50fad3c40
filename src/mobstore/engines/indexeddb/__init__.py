"""Rows in IndexedDB, for Python in a browser's page or worker (Pyodide).

engine.py       the engine
transactions.py which transaction runs which script; a transaction's handlers
job.py          a script and the task that waits for it
rows.py         what a transaction sees and writes
questions.py    what scripts ask, and one round trip to the browser with it
forms.py        the tables as object stores
channel.py      commits in other tabs
database.py     opening, laying out and refusing databases; the browser's errors in our words
javascript.py   what is used of the browser, with types
"""

from mobstore.engines.indexeddb.engine import IndexedDbEngine

__all__ = ["IndexedDbEngine"]
