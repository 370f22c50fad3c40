"""Stored records: immutable models and their exact JSON. Imports only `errors`."""
