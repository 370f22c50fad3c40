"""Look through whole stores: what is wrong in one, what differs between two."""

from __future__ import annotations

from mobstore.audit.comparison import Difference, diff_stores

__all__ = ["Difference", "diff_stores"]
