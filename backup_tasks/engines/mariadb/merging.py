"""The transaction of a merge on MariaDB.

The server has no lock of a table that ends with the transaction, and no check of foreign keys at
its end. So every row is locked, with the gaps between rows, and foreign keys are checked here. The
parents' rows are locked too, since nobody may delete one after its check.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import OperationalError, connections

from backup_tasks.engines.mariadb.foreign_keys import ForeignKey, keys_between, qualified, quoted
from backup_tasks.errors import DoesNotFit

_SESSION = (
    # Text that is no column's compares with columns also where the server's default collation is
    # not the database's.
    (
        "SET collation_connection = if(@@character_set_database = @@character_set_connection,"
        " @@collation_database, @@collation_connection)"
    ),
    # Without this mode a primary key of 0 would become the next number.
    "SET sql_mode = concat(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')",
    "SET foreign_key_checks = 0",
)


def prepare_session(cursor: Any) -> None:
    """Let the session write rows in any order, with the primary keys that they have."""
    for statement in _SESSION:
        cursor.execute(statement)


def lock_rows(cursor: Any, database: str, tables: Sequence[str], *, seconds: int) -> None:
    """Lock all rows of the tables, and those of tables that they refer to, against other writers,
    until the transaction ends. Readers are not held back.

    Raises OperationalError if a client holds a row for longer. The transaction is rolled back then.
    """
    keys = keys_between(cursor, [database])
    parents = {k.parent for k in keys if k.table in tables and k.parent_database == database}
    locks = [
        *((table, "FOR UPDATE") for table in tables),
        *((table, "LOCK IN SHARE MODE") for table in sorted(parents.difference(tables))),
    ]
    cursor.execute("SELECT @@innodb_lock_wait_timeout")
    (before,) = cursor.fetchone()
    cursor.execute(f"SET innodb_lock_wait_timeout = {seconds}")
    try:
        for table, lock in locks:
            cursor.execute(f"SELECT count(*) FROM {qualified(database, table)} {lock}")
    except OperationalError:
        cursor.execute("ROLLBACK")  # else the next try would keep the locks that this one got
        raise
    finally:
        cursor.execute(f"SET innodb_lock_wait_timeout = {before}")


def refuse_new_dangling_rows(
    cursor: Any, committed: Any, database: str, tables: Sequence[str]
) -> None:
    """Raise DoesNotFit if more rows than before refer to no row, by a foreign key of one of the
    tables or to one. `committed` is a cursor that does not see the transaction's rows."""
    keys = [
        key
        for key in keys_between(cursor, [database])
        if (key.database == database and key.table in tables)
        or (key.parent_database == database and key.parent in tables)
    ]
    found = [
        f"{count} of {key.table} to {key.parent}"
        for key in keys
        if (count := _dangling(cursor, key)) and count > _dangling(committed, key)
    ]
    if found:
        raise DoesNotFit(
            f"after the merge rows would refer to rows that do not exist: {', '.join(found)}",
            obj=f"database {database}",
            hint="Merge a package that holds these rows. Live data was not touched.",
        )


def _dangling(cursor: Any, key: ForeignKey) -> int:
    return key.dangling_rows(cursor, key.database, key.parent_database)


def allow_null(alias: str, table: str, known: Iterable[str]) -> None:
    """Let all columns of the current database's table be NULL, but those that are known. Commits
    the transaction."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT column_name, column_type, character_set_name, collation_name"
            " FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s"
            " AND is_nullable = 'NO' AND generation_expression IS NULL"
            " ORDER BY ordinal_position",
            [table],
        )
        changes = [
            f"MODIFY {quoted(name)} {kind}"
            + (f" CHARACTER SET {characters} COLLATE {collation} NULL" if collation else " NULL")
            for name, kind, characters, collation in cursor.fetchall()
            if name not in known
        ]
        if changes:
            cursor.execute(f"ALTER TABLE {quoted(table)} {', '.join(changes)}")
