"""Rows in a SQLite file, for native Python.

engine.py  which thread does what: one that writes, readers beside it
writer.py  the thread that writes, with group commit
rows.py    the tables in SQL: how reads are answered and writes applied
file.py    opening, marking and refusing files; the driver's errors in our words
layout.py  what a file is made of, compared before it is used
interruption.py  ending what lasts
removal.py  taking back a file that was made for nothing
usage.py   whether anybody uses a file that is to be replaced
"""

from mobstore.engines.sqlite.engine import SqliteEngine

__all__ = ["SqliteEngine"]
