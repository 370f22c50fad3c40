"""Real PostgreSQL servers for tests: private clusters, a pair, a pooler, and a proxy with faults.

Nothing here imports pytest, except `fixtures`.
"""
