"""The two ways to read the rows of a model on PostgreSQL."""

from collections.abc import Iterator

from backup_tasks.rows.codec import Line, Lines, Shape
from backup_tasks.rows.copy_dump import server_lines


def compared(shape: Shape) -> bool:
    """Hold the lines of both ways to each other; False if the server does not send the model's."""
    by_server = server_lines(shape)
    if by_server is None:
        return False
    assert _all(by_server) == _all(shape.lines()), shape.label
    return True


def _all(batches: Iterator[Lines]) -> list[Line]:
    return sorted(line for batch in batches for line in zip(*batch, strict=True))
