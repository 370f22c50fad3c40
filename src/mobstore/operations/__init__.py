"""Every store operation as a transaction script, without I/O. The semantics live here, once."""
