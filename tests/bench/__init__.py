"""Benchmarks against plain sqlite3 and other libraries: `python -m bench`.

`turns` makes contestants take turns, `outcome` holds and prints results, `page` writes them into
the documentation. `logs` and `peers` hold the contestants, `works` one module per kind of work.
"""
