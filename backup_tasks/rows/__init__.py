"""Rows: natural keys, the dump, the load, and the digests that prove them equal."""
