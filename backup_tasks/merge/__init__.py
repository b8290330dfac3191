"""Merge: rows of staging, which are proven to be the package's, are written to live's tables.

All statements run in one transaction on live, which reaches staging's tables by a prefix. No row is
handled alone. Each model has a mapping table in staging. For each row of the package it has the row
of live that it is or becomes, and what happens to it.

1. `key_matching` and `unresolved_references` fill the mapping tables, in an order in which the
   models that a natural key refers to come first.
2. `translation` selects the package's rows with live's keys.
3. `conflicts` compares them with live, `write` writes them, `proof` proves the result.

Foreign keys are checked at the end of the transaction, so cycles need no second pass.
"""
