"""The dump: one file of lines per model, read in one pass, with its count and digests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from django.db import DataError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import DumpFailed
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.copy_dump import copy_lines
from backup_tasks.rows.digest import Digests


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


def dump_model(codec: RowCodec, target: BinaryIO | None, progress: Callable[[int], None]) -> Dumped:
    """Read every row of the model and write it to `target` (None: only the figures are wanted).

    `progress` is called with the number of rows of each batch. Raises DumpFailed if a row can't be
    written, or if fewer rows came than the table has.
    """
    digests, member = Digests(), sha256()
    count = size = 0
    try:
        for prefixes, suffixes in copy_lines(codec) or codec.read_lines():
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
        _refuse_undecodable_row(codec)
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


def _refuse_undecodable_row(codec: RowCodec) -> None:
    """Raise DumpFailed, naming the row whose text is not UTF-8: SQLite holds whatever it was given,
    and its error does not say where."""
    codec.connection.connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    try:
        for _ in codec.read_lines():
            pass
    finally:
        codec.connection.connection.text_factory = str


def count_rows(connection: BaseDatabaseWrapper, table: str) -> int:
    """Return the number of rows of a table."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
        return int(cursor.fetchone()[0])


def _refuse_missing_rows(codec: RowCodec, count: int) -> None:
    """The transaction must count as many rows as it read: a join may not lose or double any."""
    stored = count_rows(codec.connection, codec.table)
    if stored != count:
        raise DumpFailed(
            f"the table has {stored} rows, {count} were read",
            obj=codec.label,
            hint="A natural key refers to a column that is not unique; name another one in "
            "settings.BACKUP['NATURAL_KEYS'].",
        )
