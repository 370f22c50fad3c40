"""Benchmarks on PostgreSQL: `python -m bench postgres`.

`stage` starts a server, `raw` and `pgbench` hold the contestants without a library, `works` names
the kinds of work. All contestants use the same server, over TCP on 127.0.0.1.
"""
