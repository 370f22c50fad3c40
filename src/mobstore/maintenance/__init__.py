"""Backup, restore, copy, verification, repair and comparison of whole stores.

Its modules, each above those that it uses:

    transfer          copy, export_stores, import_stores: arguments, errors, cancellation
      copy_scripts    a store to a temporary file, and that file to another store
      export_script   a store to an archive
      import_script   an archive to a store
      target          the empty store that a copy or an import fills
    verification      verify: every row, row against row, the counters, the medium
      repair          the repairs that need no guess
      row_check       one row, compared with its canonical form
      consistency     rows compared with each other; the order of tables
      snapshot        a checked read of a whole store, for copy and export
    comparison        diff: two stores, row by row
    archive           the zip and its manifest
      json_lines      one row as one line of an archive, and back
      input_file      a caller's file that is read
      output_directory  a directory that appears complete or not at all
      output_file     a file that is written, and appears complete or not at all
      temporary_file  an unnamed file
    progress          progress reports, and work that ends when its task is cancelled
"""

from mobstore.maintenance.comparison import Difference as Difference, diff as diff
from mobstore.maintenance.progress import Progress as Progress
from mobstore.maintenance.transfer import (
    Summary as Summary,
    copy as copy,
    export_stores as export_stores,
    import_stores as import_stores,
)
from mobstore.maintenance.verification import (
    Problem as Problem,
    Verification as Verification,
    verify as verify,
)
