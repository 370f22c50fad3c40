"""Databases of the reference, meerkat-mob 0.5.1 and 0.5.2: SQLite files.

An import is atomic: all of the file is there when it returns, and nothing if it fails or the
process dies. It goes into an empty store only, because events keep their cursors and consumers
their places. It needs memory for a few hundred rows, however large the file is.

The file is opened for reading only. One that no process has open (there is no `-wal` beside it) is
not even locked: do not start a meerkat process on it during an import.
"""

from __future__ import annotations

from mobstore.meerkat.importing import ImportReport, Unreadable, import_meerkat
from mobstore.meerkat.layout import check_source

__all__ = ["ImportReport", "Unreadable", "check_source", "import_meerkat"]
