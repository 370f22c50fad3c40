"""Every store operation as a transaction script, without I/O. The semantics live here, once.

events.py          append, poll, clear
event_queries.py   searching the log
event_removal.py   pruning, and the keys of pruned events
consumers.py       positions of named consumers, and the events after them
runs.py            runs as a whole: create, status, flow state, delete, prune
endings.py         ending a run: its status, its event and its claim in one commit
claims.py          claims on names and on runs
ledgers.py         appending to a run's ledgers
frames.py          frames and loops, and the outputs of their steps
run_reading.py     runs, headers, pages of ledgers
run_selection.py   runs by creation, by end, and those that no worker holds
run_counts.py      runs counted by mob, flow and status
specs.py, realm_profiles.py
identity.py        the store's UUID
overview.py        counts

A script that reads decodes its rows itself and returns models. A long decode then runs where the
script runs, such as on a reader's thread, and does not block the event loop. It also lets a script
react to rows that cannot be read, as `events.poll` does.
"""
