"""Reads the lines of a model: by COPY if PostgreSQL can send them, and otherwise row by row."""

from __future__ import annotations

from collections.abc import Iterator

from backup_tasks.rows.codec import BATCH_BYTES, Lines, RowCodec
from backup_tasks.rows.copy_dump import copy_lines

_BATCH_ROWS = 200


def read_lines(codec: RowCodec) -> Iterator[Lines]:
    """Yield all lines of the model in batches. Raises DumpFailed, django.db errors.

    The connection must be in a transaction.
    """
    return copy_lines(codec) or encoded_lines(codec)


def encoded_lines(codec: RowCodec) -> Iterator[Lines]:
    """Yield the same lines: read the rows by a query, and encode one after the other."""
    with codec.connection.chunked_cursor() as cursor:
        cursor.execute(codec.query.sql())
        batch_rows = 1
        while rows := cursor.fetchmany(batch_rows):
            prefixes, suffixes = zip(*map(codec.encode, rows), strict=True)
            yield prefixes, suffixes
            # Rows differ in size, so the size of this batch decides how many rows the next has.
            fitting_rows = BATCH_BYTES * len(rows) // sum(map(len, (*prefixes, *suffixes)))
            batch_rows = max(1, min(fitting_rows, 10 * batch_rows, _BATCH_ROWS))
