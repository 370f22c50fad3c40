"""Rows held in memory: those of a store that lies there, and those that are yet to be written.

indexes.py   the rows of one index, in its order
tables.py    the rows of all tables: answers to reads, writes, and how they are taken back
"""
