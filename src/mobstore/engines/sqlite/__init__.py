"""The SQLite engine, for native Python.

engine.py            the engine: which thread reads, and which writes
writer.py            the thread that writes, with group commit
transactions.py      scripts in transactions, in a group or one alone
kept_rows.py         the rows of a group, written together
reads.py             scripts that only read: on the event loop, or on a thread
places.py            the number of reads on threads at once
rows.py              the tables in SQL: answers reads, applies writes
file.py              opens, checks and creates files
upgrade.py           upgrades files of earlier formats
formats.py           the layouts of earlier formats
layout.py            compares the tables of a file with those that mobstore creates
connections.py       opens connections, always through SQLite
identity.py          notices a file that was removed or replaced
condition.py         notices corruption, and changes by other programs
checkpoints.py       copies the log into the file
external_commits.py  notices commits of other connections
driver_errors.py     translates errors of the driver
handover.py          hands results of threads to event loops
interruption.py      interrupts long reads
integrity.py         SQLite's own check of a file
removal.py           removes a store that holds nothing
usage.py             finds out whether a file is in use
"""

from mobstore.engines.sqlite.engine import SqliteEngine

__all__ = ["SqliteEngine"]
