"""Compares the two ways to read the lines of a model on PostgreSQL: by COPY, and row by row."""

from collections.abc import Iterator

from backup_tasks.rows.codec import Line, Lines, RowCodec
from backup_tasks.rows.copy_dump import copy_lines
from backup_tasks.rows.read import encoded_lines


def copy_gives_the_same(codec: RowCodec) -> bool:
    """Assert that COPY gives the same lines. Return False if COPY can't send the model."""
    by_copy = copy_lines(codec)
    if by_copy is None:
        return False
    assert _all(by_copy) == _all(encoded_lines(codec)), codec.label
    return True


def _all(batches: Iterator[Lines]) -> list[Line]:
    return sorted(line for batch in batches for line in zip(*batch, strict=True))
