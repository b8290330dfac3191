"""The two ways to read the rows of a model on PostgreSQL."""

from collections.abc import Iterator

from backup_tasks.rows.codec import Line, Lines, RowCodec
from backup_tasks.rows.copy_dump import copy_lines


def copy_gives_the_same(codec: RowCodec) -> bool:
    """Hold the lines of both ways to each other; False if the server does not send the model's."""
    by_server = copy_lines(codec)
    if by_server is None:
        return False
    assert _all(by_server) == _all(codec.read_lines()), codec.label
    return True


def _all(batches: Iterator[Lines]) -> list[Line]:
    return sorted(line for batch in batches for line in zip(*batch, strict=True))
