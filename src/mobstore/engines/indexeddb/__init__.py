"""IndexedDB engine, for Python in a browser's page or worker (Pyodide).

engine.py       the engine
call.py         an engine call: a script and the task that awaits it
transactions.py assignment of scripts to transactions, and a transaction's event handlers
rows.py         reads and writes within one transaction
cache.py        the rows that a transaction knows, and when an answer is stale
reads.py        the reads of a script, and one round trip to the browser with them
conversion.py   rows and keys in the form in which IndexedDB stores them
channel.py      notifications of commits in other tabs
database.py     opening databases; translation of the browser's errors
upgrade.py      creating object stores, and upgrading databases of an earlier format
javascript.py   typed access to the browser
"""

from mobstore.engines.indexeddb.engine import IndexedDbEngine

__all__ = ["IndexedDbEngine"]
