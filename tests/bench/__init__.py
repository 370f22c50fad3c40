"""What mobstore's operations cost beside plain sqlite3 and other libraries: `python -m bench`.

`turns` lets contestants take turns, `outcome` holds and shows what came of it, `logs` and `peers`
say how each contestant keeps events, `works` holds one module per kind of work.
"""
