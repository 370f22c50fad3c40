"""Models to rows and back: the only code that knows how content is laid out in the tables.

Decoding trusts what encoding wrote. Rows that cannot be decoded, as in a corrupt file, are reported
by table and key.
"""
