"""The second look: sums that the database itself works out over a table's columns.

It is taken by the backup, in its snapshot, and by the validation of a restore, in staging. It
shares no code with the dump: no converter, join, filter or encoding. What these lose at the backup
and in the proof alike, the sums tell. Each is one SELECT over the table alone, with a hash of each
value.

A hash depends on the row's primary key, so that values that changed places are found too. A sum is
of one column, so that a difference has a name. NULL adds nothing.

Sums can be compared if they have the same basis: the kind of database, its major version, its
encoding, and the names and types of the columns.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, cast

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows.natural_keys import Model

_MODULUS = 1 << 64
_BASIS_DIGITS = 16
_ROWS = "number of rows"


@dataclass(frozen=True, kw_only=True)
class Sums:
    """The second look at one table."""

    basis: str
    """16 hexadecimal digits. Only sums of the same basis can be compared."""
    count: int
    """Rows."""
    columns: Mapping[str, str]
    """Column → sum modulo 2**64, as 16 hexadecimal digits; sorted by name."""

    def __str__(self) -> str:
        """How they stand in a manifest: basis, count, and the sums, with spaces between them."""
        return " ".join([self.basis, str(self.count), *self.columns.values()])


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What to ask the database about a table."""

    method: str
    """Kind, major version and encoding of the database."""
    types: Mapping[str, str]
    """Type of each column, in the database's words."""
    hashes: Sequence[str]
    """The SQL of each column's hash, in the order of the columns."""
    settings: str = ""
    """Statement that fixes the session's settings."""


def take(connection: BaseDatabaseWrapper, model: Model) -> Sums:
    """Return the sums of the model's columns that a package holds: all but generated ones. The
    connection is in a transaction."""
    columns = sorted(
        field.column for field in model._meta.local_concrete_fields if not field.generated
    )
    keys = [field.column for field in cast(Any, model._meta).pk_fields]
    ask = _QUESTIONS[connection.vendor]
    table = connection.ops.quote_name(model._meta.db_table)
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        question = ask(connection, cursor, model._meta.db_table, columns, keys)
        if question.settings:
            cursor.execute(question.settings)
        summed = "".join(f", sum({each})" for each in question.hashes)
        cursor.execute(f"SELECT count(*){summed} FROM {table}")
        count, *sums = cursor.fetchone()
        transaction.set_rollback(True, connection.alias)  # of the settings
    return Sums(
        basis=_basis(question, columns),
        count=count,
        columns={
            column: f"{int(each or 0) % _MODULUS:016x}"
            for column, each in zip(columns, sums, strict=True)
        },
    )


def unequal(before: str, now: Sums) -> list[str] | None:
    """Return the columns whose sums differ from those of the manifest, or that the number of rows
    does; None if the two can't be compared."""
    basis, *words = before.split(" ")
    if basis != now.basis:
        return None
    found = {_ROWS: str(now.count), **now.columns}
    return [
        str(name)
        for (name, sum_now), sum_before in zip_longest(
            found.items(), words, fillvalue=("another column", "")
        )
        if sum_now != sum_before
    ]


def _basis(question: _Question, columns: Sequence[str]) -> str:
    told = [question.method, *(f"{column} {question.types[column]}" for column in columns)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:_BASIS_DIGITS]


_POSTGRESQL_SETTINGS = (
    "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres';"
    " SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex';"
    " SET LOCAL xmlbinary = 'base64'; SET LOCAL lc_monetary = 'C'"
)

# {0} is the column, {1} the key. Two values of these types are equal only if they are the same.
_POSTGRESQL_HASHES = {
    **dict.fromkeys(("int2", "int4", "int8"), "hashint8extended({0}, {1})"),
    "bool": "hashint8extended({0}::int, {1})",
    "uuid": "uuid_hash_extended({0}, {1})",
    **dict.fromkeys(("text", "varchar"), 'hashtextextended({0} COLLATE "C", {1})'),
    **dict.fromkeys(
        ("date", "time", "timestamp", "timestamptz", "bytea"), "hash_record_extended(ROW({0}), {1})"
    ),
}
_POSTGRESQL_TEXT_HASH = 'hashtextextended({0}::text COLLATE "C", {1})'


def _of_postgresql(
    connection: BaseDatabaseWrapper,
    cursor: Any,
    table: str,
    columns: Sequence[str],
    keys: Sequence[str],
) -> _Question:
    quote = connection.ops.quote_name
    cursor.execute(
        "SELECT a.attname, t.typname, a.atttypmod, current_setting('server_encoding'),"
        " current_setting('server_version_num')::int / 10000"
        " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
        [quote(table)],
    )
    described = cursor.fetchall()
    kinds = {name: kind for name, kind, *_ in described}
    if len(keys) == 1 and kinds[keys[0]] in ("int2", "int4", "int8"):
        key = f"{quote(keys[0])}::bigint"
    else:
        listed = ", ".join(f"{quote(name)}::text" for name in keys)
        key = f'hashtextextended(ROW({listed})::text COLLATE "C", 0)'
    return _Question(
        method="postgresql {1} {0}".format(*described[0][3:]),
        types={name: f"{kind} {modifier}" for name, kind, modifier, *_ in described},
        hashes=[
            _POSTGRESQL_HASHES.get(kinds[name], _POSTGRESQL_TEXT_HASH).format(quote(name), key)
            for name in columns
        ],
        settings=_POSTGRESQL_SETTINGS,
    )


def _of_mariadb(
    connection: BaseDatabaseWrapper,
    cursor: Any,
    table: str,
    columns: Sequence[str],
    keys: Sequence[str],
) -> _Question:
    """The server has no hash of 64 bits that is cheap. A checksum of 32 bits is multiplied by a
    number from 1 to 65521, which the key gives."""
    quote = connection.ops.quote_name
    cursor.execute(
        "SELECT column_name, column_type, character_set_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s",
        [table],
    )
    types = {name: f"{kind} {charset}" for name, kind, charset in cursor.fetchall()}
    if len(keys) == 1 and types[keys[0]].startswith(("int", "bigint", "smallint")):
        number = f"abs({quote(keys[0])} % 65521)"
    else:
        listed = ", ".join(f"CAST({quote(name)} AS BINARY)" for name in keys)
        number = f"crc32(concat_ws(x'00', {listed})) % 65521"

    def hashed(name: str) -> str:
        column = quote(name)
        if types[name].startswith("timestamp"):  # its text depends on the session's time zone
            column = f"unix_timestamp({column})"
        elif types[name].startswith("float"):  # its text is rounded
            column = f"CAST({column} AS DOUBLE)"
        return f"crc32(CAST({column} AS BINARY)) * ({number} + 1)"

    version = connection.get_database_version()[:2]
    return _Question(
        method=f"mariadb {'.'.join(map(str, version))}",
        types=types,
        hashes=[hashed(name) for name in columns],
    )


_SQLITE_HASH = "backup_tasks_crc32"

# Type and value: the bytes of a text or blob, digits enough of a real that it reads back.
_SQLITE_VALUE = (
    "CASE typeof({0}) WHEN 'null' THEN 0"
    f" WHEN 'real' THEN {_SQLITE_HASH}(CAST('r' || quote({{0}}) AS BLOB), {{1}})"
    f" ELSE {_SQLITE_HASH}(CAST(substr(typeof({{0}}), 1, 1) || {{0}} AS BLOB), {{1}}) END"
)


def _of_sqlite(
    connection: BaseDatabaseWrapper,
    cursor: Any,
    table: str,
    columns: Sequence[str],
    keys: Sequence[str],
) -> _Question:
    """SQLite has no hash: it is lent zlib's CRC-32, whose start is the key."""
    quote = connection.ops.quote_name
    connection.connection.create_function(_SQLITE_HASH, 2, zlib.crc32, deterministic=True)
    cursor.execute(f"PRAGMA table_xinfo({quote(table)})")
    types = {name: kind.lower() for _, name, kind, *_ in cursor.fetchall()}
    cursor.execute("PRAGMA encoding")
    (encoding,) = cursor.fetchone()
    if len(keys) == 1 and types[keys[0]] == "integer":
        key = f"{quote(keys[0])} & 4294967295"
    else:
        listed = " || x'00' || ".join(f"coalesce({quote(name)}, '')" for name in keys)
        key = f"{_SQLITE_HASH}(CAST('k' || {listed} AS BLOB), 0)"
    return _Question(
        method=f"sqlite 3 {encoding}",
        types=types,
        hashes=[_SQLITE_VALUE.format(quote(name), key) for name in columns],
    )


_Ask = Callable[[BaseDatabaseWrapper, Any, str, Sequence[str], Sequence[str]], _Question]
_QUESTIONS: Mapping[str, _Ask] = {
    "postgresql": _of_postgresql,
    "mysql": _of_mariadb,
    "sqlite": _of_sqlite,
}
