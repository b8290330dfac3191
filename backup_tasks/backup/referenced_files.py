"""The files that rows refer to, held against the files that there are.

A row whose file is gone is a loss that happened before the backup: the backup goes on, and its
manifest says which files were missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import label
from backup_tasks.storage.files import project_trees

_FILE = "references.jsonl"
_NAMED = 10


def write(
    connection: BaseDatabaseWrapper, included: Sequence[Model], folder: Path
) -> tuple[str, ...]:
    """List the files that the rows of the snapshot refer to. Return a warning for each field whose
    storage is not among `FILE_STORAGES`: its files are not in the package."""
    quote = connection.ops.quote_name
    warnings = []
    with (folder / _FILE).open("wb") as target:
        for model, field in _file_fields(included):
            where = f"{label(model)}.{field.name}"
            alias = _alias_of(field)
            if alias is None:
                warnings.append(
                    f"{where}: its files are not in the package: its storage is not named in "
                    "FILE_STORAGES, or has no folder (MEDIA_ROOT)"
                )
                continue
            column = quote(field.column)
            with connection.chunked_cursor() as cursor:
                cursor.execute(
                    f"SELECT DISTINCT {column} FROM {quote(model._meta.db_table)}"  # noqa: S608
                    f" WHERE {column} <> ''"
                )
                while rows := cursor.fetchmany(2000):
                    for (name,) in rows:
                        line = {"storage": alias, "name": name, "field": where}
                        target.write(orjson.dumps(line) + b"\n")
    return tuple(warnings)


@contextmanager
def of(folder: Path) -> Iterator[Callable[[str, str], bool]]:
    """Inside, tell whether a row refers to the file, by storage and name."""
    with closing(sqlite3.connect("")) as database:  # a temporary file of SQLite's own
        database.execute("CREATE TABLE referred (storage, name, PRIMARY KEY (storage, name))")
        database.executemany(
            "INSERT OR IGNORE INTO referred VALUES (?, ?)",
            ((line["storage"], line["name"].encode()) for line in _lines(folder / _FILE)),
        )
        sql = "SELECT 1 FROM referred WHERE storage = ? AND name = ?"

        def is_referred(storage: str, name: str) -> bool:
            key = (storage, name.encode("utf-8", "surrogateescape"))  # a storage's may be any bytes
            return database.execute(sql, key).fetchone() is not None

        yield is_referred


def missing(folder: Path, index: Path) -> tuple[str, ...]:
    """Return a warning for each field that refers to files which the index does not list."""
    with closing(sqlite3.connect("")) as database:  # a temporary file of SQLite's own
        database.execute("CREATE TABLE present (storage, name, PRIMARY KEY (storage, name))")
        database.executemany("INSERT INTO present VALUES (:storage, :name)", _lines(index))
        database.execute("CREATE TABLE wanted (storage, name, field)")
        database.executemany(
            "INSERT INTO wanted VALUES (:storage, :name, :field)", _lines(folder / _FILE)
        )
        gone = "FROM wanted LEFT JOIN present USING (storage, name) WHERE present.name IS NULL"
        fields = database.execute(f"SELECT field, count(*) {gone} GROUP BY field").fetchall()
        return tuple(
            _warning(
                field,
                count,
                database.execute(
                    f"SELECT name {gone} AND field = ? ORDER BY name LIMIT {_NAMED}", [field]
                ),
            )
            for field, count in fields
        )


def _warning(field: str, count: int, examples: Iterable[tuple[str]]) -> str:
    names = ", ".join(name for (name,) in examples)
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    return f"{field}: {count} files were missing when the backup was made: {names}{more}"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


def _file_fields(included: Sequence[Model]) -> Iterator[tuple[Model, models.FileField]]:
    for model in included:
        for field in model._meta.local_concrete_fields:
            if isinstance(field, models.FileField):
                yield model, field


def _alias_of(field: models.FileField) -> str | None:
    for tree in project_trees():
        if field.storage == tree.storage:
            return tree.alias
    return None
