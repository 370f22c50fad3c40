"""Models to rows and back: the only code that knows the layout of content in the tables.

Decoding trusts encoded rows. Rows that cannot be decoded, as in a corrupt file, are reported by
table and key.
"""
