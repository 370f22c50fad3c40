"""Databases of the reference: those of meerkat-mob 0.5.1 and 0.5.2 in, those of 0.5.2 out.

    await import_meerkat("mob.db", stores)
    await export_meerkat(stores, "back.db")

An import is atomic: all of the file is there when it returns, and nothing if it fails or the
process dies. It goes into an empty store only, because events keep their cursors and consumers
their places. It needs memory for about a megabyte of rows, or for one row that is longer, however
large the file is.

The file may come from anywhere: it is refused if it holds anything that these releases do not make,
or is damaged.

It is opened for reading only. One that no process has open (there is no `-wal` beside it) is
not even locked: if a process begins to write to it, the import fails and says so.

An export loses nothing: what the layout cannot hold is an error. Read back, by mobstore or by the
reference, it gives the same events, runs, specs and profiles, in the same order.
"""

from mobstore.meerkat.exporter import export_meerkat as export_meerkat
from mobstore.meerkat.importer import import_meerkat as import_meerkat
from mobstore.meerkat.report import ImportReport as ImportReport, Unreadable as Unreadable
