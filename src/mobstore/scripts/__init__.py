"""The vocabulary of transaction scripts. Nothing here does I/O.

transaction.py    the vocabulary: reads, writes, scripts, and the engine that runs them
tables.py         the tables, declared once
atomic.py         several operations as one script
overlay.py        answers to reads, corrected by pending writes; hidden_rows.py is what these hide
memory_tables.py  rows in memory, for the memory engine and the overlay; sorted_rows.py is one index
paging.py         reading a whole index in bounded memory
"""
