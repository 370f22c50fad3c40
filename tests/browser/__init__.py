"""Tests of the IndexedDB engine in real browsers; a package, so that its fixtures end with it."""
