"""The PostgreSQL engine, through psycopg.

engine.py         the engine: one lane of connections for each event loop
writer.py         scripts that write: group commit, and the outcome of every commit
transaction.py    one attempt to run scripts in one transaction
readers.py        scripts that only read
news.py           notices commits of other processes
jobs.py           scripts that wait, and scripts that run together as one
locks.py          which locks a transaction takes
merging.py        many writes as few
reads.py          reads as statements, and their answers
sql.py            the tables in SQL
values.py         values on the wire
wire.py           exchanges with the server
opening.py        opens a store for the first time
connections.py    makes connections, and makes them again
layout.py         the schema of a store
driver_errors.py  translates errors of the server
"""

from mobstore.engines.postgres.engine import PostgresEngine

__all__ = ["PostgresEngine"]
