"""Helpers for several groups of tests."""
