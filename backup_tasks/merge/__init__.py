"""Merge: staging's rows, which were proven to be the package's, go into live's tables.

All of it is set-wise SQL in one transaction on live, with staging's tables at hand under a prefix.
Per model there is one mapping table in staging: a row of the package, the row of live that it is or
becomes, and what happens to it. First the mapping tables are made, in an order in which a natural
key finds what it refers to mapped already (`matching`, `absent`). Then every row can be translated
to live's keys (`translation`), compared (`conflicts`), written (`writing`) and proven (`proof`).
Foreign keys are checked when the transaction ends, so cycles need no second pass.
"""
