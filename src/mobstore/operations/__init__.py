"""Every store operation as a transaction script, without I/O. The semantics live here, once.

events.py          append, poll, prune, clear
runs.py            runs as a whole: create, status, flow state, delete, prune
ledgers.py         appending to a run's ledgers
frames.py          frames and loops, and the outputs of their steps
run_reading.py     runs, headers, pages of ledgers
specs.py, realm_profiles.py
identity.py        the store's UUID
overview.py        counts

A script that reads decodes its rows itself and returns models. A long decode then runs where the
script runs, such as on a reader's thread, and does not block the event loop. It also lets a script
react to rows that cannot be read, as `events.poll` does.
"""
