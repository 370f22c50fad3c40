"""Models to rows and back: the one place that knows how content lies in the tables.

Decoding trusts what encoding wrote; what nevertheless cannot be read (a damaged file) is reported
by table and key.
"""
