"""Import and export of databases of the reference, meerkat-mob.

    await import_meerkat("mob.db", stores)
    await import_meerkat("mobs", stores)  # all files of a directory
    await export_meerkat(stores, "back.db")
    await export_meerkat(stores, "mobs", by_mob=True)

An import reads databases of 0.5.1 and 0.5.2. It is all or nothing: an error or a crash leaves the
store as it was. It needs memory for about a megabyte of rows, or for one row that is longer,
however large and many the files are.

The files need not be trusted: a file is rejected if it is damaged, or holds anything that could
change or delay a read. It is opened read-only. If no process has it open (there is no `-wal` file
beside it), it is not even locked; if a process then begins to write to it, the import fails and
says so.

An export writes databases of 0.5.2 and loses nothing: what the layout cannot hold is an error.
Read by mobstore or by the reference, a database has the same events, runs, specs and profiles in
the same order.
"""

from mobstore.meerkat.exporter import export_meerkat as export_meerkat
from mobstore.meerkat.importer import import_meerkat as import_meerkat
from mobstore.meerkat.report import (
    ExportReport as ExportReport,
    ImportedFile as ImportedFile,
    ImportReport as ImportReport,
    Unreadable as Unreadable,
    UnreadableFile as UnreadableFile,
)
