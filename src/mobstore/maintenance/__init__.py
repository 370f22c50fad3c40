"""Work on whole stores: move, verify, repair and compare them."""

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
