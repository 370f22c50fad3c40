"""Engines, which store rows. No engine imports another; each imports its own driver only."""
