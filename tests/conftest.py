"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A loaded machine makes no test wrong.
settings.register_profile("mobstore", deadline=None)
settings.load_profile("mobstore")
