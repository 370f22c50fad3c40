"""The Chromium of the tests in `browser`."""

from __future__ import annotations

from browser.conftest import chromium_program

__all__ = ["chromium_program"]
