"""The second look: sums that the database itself works out over a table's columns.

It is taken by the backup, in its snapshot, and by the validation of a restore, in staging. It
shares no code with the dump: no converter, join, filter or encoding. What these lose at the backup
and in the proof alike, the sums tell. Each is one SELECT over the table alone, with a hash of each
value.

A hash depends on the row's primary key, so that values that changed places are found too. A sum is
of one column, so that a difference has a name; on SQLite it is of whole rows. NULL adds nothing.

Sums can be compared if they have the same basis: the kind of database, its major version, its
encoding, and the names and types of the columns.
"""

from __future__ import annotations

import hashlib
import marshal
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, cast

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows.natural_keys import Model

_MODULUS = 1 << 64
_BASIS_DIGITS = 16
_ROWS = "number of rows"
_WHOLE_ROW = "some column"


@dataclass(frozen=True, kw_only=True)
class Sums:
    """The second look at one table."""

    basis: str
    """16 hexadecimal digits. Only sums of the same basis can be compared."""
    count: int
    """Rows."""
    columns: Mapping[str, str]
    """Column → sum modulo 2**64, as 16 hexadecimal digits, sorted by name; or one of whole rows."""

    def __str__(self) -> str:
        """How they stand in a manifest: basis, count, and the sums, with spaces between them."""
        return " ".join([self.basis, str(self.count), *self.columns.values()])


Types = Mapping[str, tuple[str, str | None]]
"""Column → its type, and the type as it is declared (PostgreSQL) or its character set (MariaDB)."""


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What to ask the database about a table."""

    method: str
    """Kind, major version and encoding of the database."""
    types: Mapping[str, str]
    """Type of each column, in the database's words."""
    hashes: Mapping[str, str]
    """Column → the SQL of its hash; or that of a whole row."""
    settings: str = ""
    """Statement that fixes the session's settings."""


def take(connection: BaseDatabaseWrapper, model: Model, *, read_as: Types | None = None) -> Sums:
    """Return the sums of the model's columns that a package holds: all but generated ones. The
    connection is in a transaction. With `read_as` values are read as those of another table's
    types, so that the sums can be compared with that table's."""
    columns = sorted(
        field.column for field in model._meta.local_concrete_fields if not field.generated
    )
    keys = [field.column for field in cast(Any, model._meta).pk_fields]
    ask = _QUESTIONS[connection.vendor]
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        question = ask(connection, cursor, model._meta.db_table, columns, keys, read_as or {})
        summed = "".join(f", sum({each})" for each in question.hashes.values())
        with _fixed(connection, cursor, question.settings):
            cursor.execute(f"SELECT count(*){summed} FROM {table}")
        count, *sums = cursor.fetchone()
    return Sums(
        basis=_basis(question, columns),
        count=count,
        columns={
            column: f"{int(each or 0) % _MODULUS:016x}"
            for column, each in zip(question.hashes, sums, strict=True)
        },
    )


@contextmanager
def _fixed(connection: BaseDatabaseWrapper, cursor: Any, settings: str) -> Iterator[None]:
    """Inside, the session has these settings."""
    if not settings:
        yield
        return
    with transaction.atomic(connection.alias):
        cursor.execute(settings)
        yield
        transaction.set_rollback(True, connection.alias)


def unequal(before: str, now: Sums) -> list[str] | None:
    """Return the columns whose sums differ from those of the manifest, or that the number of rows
    does; None if the two can't be compared."""
    basis, *words = before.split(" ")
    return _unequal(words, now) if basis == now.basis else None


def unequal_copy(before: Sums, now: Sums) -> list[str]:
    """Return the columns of a copy whose sums differ from those of the table that was copied, or
    that the number of rows does. The copy was read as values of that table's types."""
    return _unequal(str(before).split(" ")[1:], now)


def _unequal(words: Sequence[str], now: Sums) -> list[str]:
    found = {_ROWS: str(now.count), **now.columns}
    return [
        str(name)
        for (name, sum_now), sum_before in zip_longest(
            found.items(), words, fillvalue=("another column", "")
        )
        if sum_now != sum_before
    ]


def types_of(connection: BaseDatabaseWrapper, model: Model) -> Types:
    """Return the types of the table's columns, for `read_as`. SQLite's tables keep values as they
    are given, or convert them, which is a difference: there are none."""
    asked = {"postgresql": _types_in_postgresql, "mysql": _types_in_mariadb}.get(connection.vendor)
    if asked is None:
        return {}
    with connection.cursor() as cursor:
        found = asked(cursor, connection.ops.quote_name(model._meta.db_table))
    return {name: (kind, detail) for name, kind, detail, *_ in found}


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
    "float8": "hash_record_extended(ROW(float8send({0})), {1})",
    **dict.fromkeys(("text", "varchar"), 'hashtextextended({0} COLLATE "C", {1})'),
    **dict.fromkeys(
        ("date", "time", "timestamp", "timestamptz", "bytea"), "hash_record_extended(ROW({0}), {1})"
    ),
}
_POSTGRESQL_PLAIN_TEXT = ("numeric", "jsonb", "json", "bpchar", "inet", "citext")
"""Types whose text does not depend on the session's settings."""
_POSTGRESQL_TEXT_HASH = 'hashtextextended({0}::text COLLATE "C", {1})'


def _of_postgresql(
    connection: BaseDatabaseWrapper,
    cursor: Any,
    table: str,
    columns: Sequence[str],
    keys: Sequence[str],
    read_as: Types,
) -> _Question:
    quote = connection.ops.quote_name
    described = _types_in_postgresql(cursor, quote(table))
    kinds = {name: kind for name, kind, *_ in described}
    values = {name: quote(name) for name in kinds}
    for name, _, declared, *_ in described:
        kind, wanted = read_as.get(name, ("", declared))
        if wanted != declared:
            kinds[name] = kind
            cursor.execute("SELECT to_regtype(%s) IS NOT NULL", [wanted])
            if cursor.fetchone() == (True,):  # else it is a type of the other schema
                values[name] = f"CAST({quote(name)} AS {wanted})"
    plain = {*_POSTGRESQL_HASHES, *_POSTGRESQL_PLAIN_TEXT}
    if len(keys) == 1 and kinds[keys[0]] in ("int2", "int4", "int8"):
        key = f"{values[keys[0]]}::bigint"
    else:
        listed = ", ".join(f"{values[name]}::text" for name in keys)
        key = f'hashtextextended(ROW({listed})::text COLLATE "C", 0)'
    return _Question(
        method="postgresql {1} {0}".format(*described[0][4:]),
        types={name: f"{kind} {modifier}" for name, kind, _, modifier, *_ in described},
        hashes={
            name: _POSTGRESQL_HASHES.get(kinds[name], _POSTGRESQL_TEXT_HASH).format(
                values[name], key
            )
            for name in columns
        },
        settings="" if plain.issuperset(kinds.values()) else _POSTGRESQL_SETTINGS,
    )


def _types_in_postgresql(cursor: Any, table: str) -> list[Any]:
    """Return name, type, declared type and modifier of each column of the table, whose name is
    quoted, with the encoding and the major version of the server."""
    cursor.execute(
        "SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod), a.atttypmod,"
        " current_setting('server_encoding'), current_setting('server_version_num')::int / 10000"
        " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
        [table],
    )
    return list(cursor.fetchall())


def _of_mariadb(
    connection: BaseDatabaseWrapper,
    cursor: Any,
    table: str,
    columns: Sequence[str],
    keys: Sequence[str],
    read_as: Types,
) -> _Question:
    """The server has no hash of 64 bits that is cheap. A checksum of 32 bits is multiplied by a
    number from 1 to 65521, which the key gives."""
    quote = connection.ops.quote_name
    described = {
        name: (kind, charset) for name, kind, charset in _types_in_mariadb(cursor, quote(table))
    }
    kinds = {name: read_as.get(name, own)[0] for name, own in described.items()}
    values = {
        name: quote(name)
        if read_as.get(name, own) == own
        else _mariadb_value(quote(name), *read_as[name])
        for name, own in described.items()
    }
    if len(keys) == 1 and kinds[keys[0]].startswith(("int", "bigint", "smallint")):
        number = f"abs({values[keys[0]]} % 65521)"
    else:
        listed = ", ".join(f"CAST({values[name]} AS BINARY)" for name in keys)
        number = f"crc32(concat_ws(x'00', {listed})) % 65521"

    def hashed(name: str) -> str:
        value = values[name]
        if kinds[name].startswith("timestamp"):  # its text depends on the session's time zone
            value = f"unix_timestamp({value})"
        elif kinds[name].startswith("float"):  # its text is rounded
            value = f"CAST({value} AS DOUBLE)"
        return f"crc32(CAST({value} AS BINARY)) * ({number} + 1)"

    version = connection.get_database_version()[:2]
    return _Question(
        method=f"mariadb {'.'.join(map(str, version))}",
        types={name: f"{kind} {charset}" for name, (kind, charset) in described.items()},
        hashes={name: hashed(name) for name in columns},
    )


def _mariadb_value(column: str, kind: str, charset: str | None) -> str:
    """Return the SQL of a column's value as one of another type."""
    if charset:
        return f"CONVERT({column} USING {charset})"
    if kind.startswith(("decimal", "date", "time", "double")) and not kind.startswith("timestamp"):
        return f"CAST({column} AS {kind.split(' ')[0]})"
    return column


def _types_in_mariadb(cursor: Any, table: str) -> list[Any]:
    """Return name, type and character set of each column of the table, whose name is quoted."""
    cursor.execute(
        "SELECT column_name, column_type, character_set_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s",
        [table[1:-1].replace("``", "`")],
    )
    return list(cursor.fetchall())


_SQLITE_HASH = "backup_tasks_hash"
_SQLITE_ARGUMENTS = 100
"""Columns of one call: SQLite gives a function at most 127 arguments."""

# Bytes for a text, which need not be UTF-8; a text for bytes; numbers as they are.
_SQLITE_VALUE = (
    "CASE typeof({0}) WHEN 'text' THEN CAST({0} AS BLOB) WHEN 'blob' THEN hex({0}) ELSE {0} END"
)


def _of_sqlite(
    connection: BaseDatabaseWrapper,
    cursor: Any,
    table: str,
    columns: Sequence[str],
    keys: Sequence[str],
    read_as: Types,
) -> _Question:
    """SQLite has no hash, so it is lent one. A call takes longer than all else, so there is one for
    a row, and no sum of each column."""
    quote = connection.ops.quote_name
    connection.connection.create_function(_SQLITE_HASH, -1, _row_hash, deterministic=True)
    cursor.execute(f"PRAGMA table_xinfo({quote(table)})")
    types = dict.fromkeys(columns, "")  # of a column that is not described, such as rowid
    types |= {name: kind.lower() for _, name, kind, *_ in cursor.fetchall()}
    cursor.execute("PRAGMA encoding")
    (encoding,) = cursor.fetchone()
    values = [_SQLITE_VALUE.format(quote(name)) for name in columns]
    calls = [
        f"{_SQLITE_HASH}({', '.join(values[at : at + _SQLITE_ARGUMENTS])})"
        for at in range(0, len(values), _SQLITE_ARGUMENTS)
    ]
    return _Question(
        method=f"sqlite 3 {encoding}", types=types, hashes={_WHOLE_ROW: " + ".join(calls)}
    )


def _row_hash(*values: bytes | str | float | None) -> int:
    """Return a CRC-32 of the values and their types."""
    return zlib.crc32(marshal.dumps(values, 2))


_Ask = Callable[[BaseDatabaseWrapper, Any, str, Sequence[str], Sequence[str], Types], _Question]
_QUESTIONS: Mapping[str, _Ask] = {
    "postgresql": _of_postgresql,
    "mysql": _of_mariadb,
    "sqlite": _of_sqlite,
}
