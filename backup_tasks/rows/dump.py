"""The dump: one file of lines per model, read in one pass, with its count and digests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from django.db import DataError
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import DumpFailed
from backup_tasks.rows.digest import Digest
from backup_tasks.rows.shape import Shape

_ROWS_AT_ONCE = 2000
_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """What was written of one model."""

    count: int
    digest: str
    """Of the canonical rows: equal wherever the data is equal."""
    exact: str
    """Of the whole lines, primary keys included: equal on the same kind of database."""
    size: int
    """Bytes of the member."""
    sha256: str
    """Of the member."""


def dump_model(shape: Shape, target: BinaryIO | None, progress: Callable[[int], None]) -> Dumped:
    """Read every row of the model and write it to `target` (None: only the figures are wanted).

    `progress` is called with the number of rows of each batch. Raises DumpFailed if a row can't be
    written, or if fewer rows came than the table has.
    """
    digest, exact, member = Digest(), Digest(), sha256()
    count = size = 0
    buffer = bytearray()
    try:
        with shape.connection.chunked_cursor() as cursor:
            cursor.execute(shape.sql)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                for row in rows:
                    canonical, line = shape.line(row)
                    digest.add(canonical)
                    exact.add(line)
                    buffer += line
                    buffer += b"\n"
                count += len(rows)
                progress(len(rows))
                if target is not None and len(buffer) >= _BYTES_AT_ONCE:
                    member.update(buffer)
                    size += target.write(buffer)
                    buffer.clear()
                elif target is None:
                    buffer.clear()
    except (DataError, ValueError) as error:
        raise DumpFailed(
            f"the database holds a value that can't be read: {error}",
            obj=shape.label,
            hint="Mend the value, or exclude the model.",
        ) from error
    if target is not None:
        member.update(buffer)
        size += target.write(buffer)
    _refuse_missing_rows(shape, count)
    return Dumped(
        count=count,
        digest=digest.hexdigest(),
        exact=exact.hexdigest(),
        size=size,
        sha256=member.hexdigest(),
    )


def count_rows(connection: BaseDatabaseWrapper, table: str) -> int:
    """Return the number of rows of a table."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
        return int(cursor.fetchone()[0])


def _refuse_missing_rows(shape: Shape, count: int) -> None:
    """The transaction must count as many rows as it read: a join may not lose or double any."""
    there = count_rows(shape.connection, shape.table)
    if there != count:
        raise DumpFailed(
            f"the table has {there} rows, {count} were read",
            obj=shape.label,
            hint="A natural key refers to a column that is not unique; name another one in "
            "settings.BACKUP['NATURAL_KEYS'].",
        )


def member_name(position: int, label: str) -> str:
    """Return a member's name in the package: "database/007-documents.document.jsonl"."""
    return f"database/{position:03d}-{label}.jsonl"


def open_member(folder: Path, name: str) -> BinaryIO:
    """Create a member's file below `folder`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb", buffering=0)
