"""Dumps a model: one pass over its rows writes the file of lines, and computes count and
digests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from django.db import DataError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import DumpFailed
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.digest import Digests
from backup_tasks.rows.read import read_lines


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """The figures of one model's dump."""

    count: int
    digest: str
    """The canonical digest: equal wherever the data is equal."""
    exact: str
    """The exact digest, primary keys included: equal on the same kind of database."""
    size: int
    """Size of the member in bytes."""
    sha256: str
    """SHA-256 of the member."""


def dump_model(codec: RowCodec, target: BinaryIO | None, progress: Callable[[int], None]) -> Dumped:
    """Read every row of the model and write its line to `target`; None computes the figures only.

    `progress` is called with the number of rows of each batch. Raises DumpFailed if a row can't be
    encoded, or if the number of rows that were read is not that of the table.
    """
    digests, member = Digests(), sha256()
    count = size = 0
    try:
        for prefixes, suffixes in read_lines(codec):
            digests.add(prefixes, suffixes)
            if target is not None:
                block = _as_block(prefixes, suffixes)
                member.update(block)
                size += target.write(block)
            count += len(prefixes)
            progress(len(prefixes))
    except (DataError, ValueError) as error:
        raise _unreadable_value(codec, error) from error
    except OperationalError as error:
        if "decode" not in str(error):
            raise
        raise _unreadable_value(codec, error) from error
    _refuse_missing_rows(codec, count)
    return Dumped(
        count=count,
        digest=digests.digest,
        exact=digests.exact,
        size=size,
        sha256=member.hexdigest(),
    )


def _as_block(prefixes: Sequence[bytes], suffixes: Sequence[bytes]) -> bytes:
    """Return the lines, each with its newline."""
    pieces = [b"\n"] * (3 * len(prefixes))
    pieces[::3] = prefixes
    pieces[1::3] = suffixes
    return b"".join(pieces)


def _unreadable_value(codec: RowCodec, error: Exception) -> DumpFailed:
    return DumpFailed(
        f"the database holds a value that can't be read: {error}",
        obj=codec.label,
        hint="Mend the value, or exclude the model.",
    )


def count_rows(connection: BaseDatabaseWrapper, table: str) -> int:
    """Return the number of rows of a table."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
        return int(cursor.fetchone()[0])


def _refuse_missing_rows(codec: RowCodec, count: int) -> None:
    """Raise DumpFailed unless as many rows were read as the same transaction counts. A join to a
    key that is not unique would double rows."""
    stored = count_rows(codec.connection, codec.table)
    if stored != count:
        raise DumpFailed(
            f"the table has {stored} rows, {count} were read",
            obj=codec.label,
            hint="A natural key refers to a column that is not unique; name another one in "
            "settings.BACKUP['NATURAL_KEYS'].",
        )
