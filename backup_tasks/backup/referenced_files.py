"""The files that rows refer to, held against the files that there are.

A row whose file is gone is a loss that happened before the backup: the backup goes on, and its
manifest says which files were missing. Whether they are too many, `completeness` says.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.backup.completeness import Figures
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import label
from backup_tasks.storage.exclusion import is_excluded
from backup_tasks.storage.file_storages import alias_and_folder

_FILE = "references.jsonl"
_NAMED = 10


def begin(folder: Path) -> None:
    """Begin an empty list."""
    (folder / _FILE).write_bytes(b"")


def write(
    connection: BaseDatabaseWrapper, included: Sequence[Model], folder: Path
) -> tuple[str, ...]:
    """List the files that the rows of the snapshot refer to, after those that are listed already:
    `begin` lists none. Return a warning for each field whose
    storage is not among `FILE_STORAGES`: its files are not in the package."""
    quote = connection.ops.quote_name
    warnings = []
    with (folder / _FILE).open("ab") as target:
        for model, field in _file_fields(included):
            where = f"{label(model)}.{field.name}"
            found = alias_and_folder(field.storage)
            if found is None:
                warnings.append(
                    f"{where}: its files are not in the package: its storage is not named in "
                    "FILE_STORAGES, or has no folder (MEDIA_ROOT)"
                )
                continue
            alias, below = found
            column = quote(field.column)
            with connection.chunked_cursor() as cursor:
                cursor.execute(
                    f"SELECT DISTINCT {column} FROM {quote(model._meta.db_table)}"  # noqa: S608
                    f" WHERE {column} <> ''"
                )
                while rows := cursor.fetchmany(2000):
                    for (name,) in rows:
                        path = f"{below}/{name}" if below else name
                        if is_excluded(path):
                            continue
                        line = {"storage": alias, "name": path, "field": where}
                        target.write(json.dumps(line).encode() + b"\n")
    return tuple(warnings)


def any_to(alias: str, connection: BaseDatabaseWrapper, included: Sequence[Model]) -> bool:
    """Whether a row refers to a file of that storage, there or not."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for model, field in _file_fields(included):
            found = alias_and_folder(field.storage)
            if found is not None and found[0] == alias:
                column = quote(field.column)
                cursor.execute(
                    f"SELECT 1 FROM {quote(model._meta.db_table)}"  # noqa: S608
                    f" WHERE {column} <> '' LIMIT 1"
                )
                if cursor.fetchone():
                    return True
    return False


def is_referred(
    alias: str, name: str, connection: BaseDatabaseWrapper, models: Sequence[Model]
) -> bool:
    """Whether a row of live refers to the file now."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for model, field in _file_fields(models):
            found = alias_and_folder(field.storage)
            below = f"{found[1]}/" if found and found[1] else ""
            if found is None or found[0] != alias or not name.startswith(below):
                continue
            sql = f"SELECT 1 FROM {quote(model._meta.db_table)} WHERE {quote(field.column)} = %s"  # noqa: S608
            cursor.execute(sql, [name.removeprefix(below)])
            if cursor.fetchone():
                return True
    return False


@contextmanager
def of(folder: Path) -> Iterator[Callable[[str, str], bool]]:
    """Inside, tell whether a row refers to the file, by storage and name."""
    with closing(sqlite3.connect("")) as database:  # a temporary file of SQLite's own
        database.execute("CREATE TABLE referred (storage, name, PRIMARY KEY (storage, name))")
        keys = map(_key, _lines(folder / _FILE))
        database.executemany("INSERT OR IGNORE INTO referred VALUES (?, ?)", keys)
        sql = "SELECT 1 FROM referred WHERE storage = ? AND name = ?"

        def is_referred(storage: str, name: str) -> bool:
            key = _key({"storage": storage, "name": name})
            return database.execute(sql, key).fetchone() is not None

        yield is_referred


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What rows refer to, against what there is."""

    warnings: tuple[str, ...]
    """One for each field that refers to files which are missing."""
    figures: dict[str, Figures]
    """By storage."""


def compare(folder: Path, index: Path, storages: Iterable[str]) -> Compared:
    """Compare what the rows refer to with the files that the index lists."""
    with closing(sqlite3.connect("")) as database:  # a temporary file of SQLite's own
        database.execute("CREATE TABLE present (storage, name, PRIMARY KEY (storage, name))")
        database.executemany("INSERT INTO present VALUES (?, ?)", map(_key, _lines(index)))
        database.execute("CREATE TABLE wanted (storage, name, field)")
        wanted = ((*_key(line), line["field"]) for line in _lines(folder / _FILE))
        database.executemany("INSERT INTO wanted VALUES (?, ?, ?)", wanted)
        gone = "FROM wanted LEFT JOIN present USING (storage, name) WHERE present.name IS NULL"
        fields = database.execute(f"SELECT field, count(*) {gone} GROUP BY field").fetchall()
        some = f"SELECT name {gone} AND field = ? ORDER BY name LIMIT {_NAMED}"
        warnings = (
            _warning(field, count, database.execute(some, [field])) for field, count in fields
        )
        figures = {
            alias: Figures(
                files=_count(database, "present WHERE storage = ?", alias),
                referenced=_count(database, "wanted WHERE storage = ?", alias),
                missing=_count(database, f"{gone.removeprefix('FROM ')} AND storage = ?", alias),
            )
            for alias in storages
        }
        return Compared(warnings=tuple(warnings), figures=figures)


def _key(line: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return the key of a file: its name as bytes, since SQLite takes only UTF-8 as text."""
    return line["storage"], line["name"].encode("utf-8", "surrogateescape")


def _count(database: sqlite3.Connection, what: str, alias: str) -> int:
    sql = f"SELECT count(DISTINCT name) FROM {what}"  # noqa: S608  # constants
    return int(database.execute(sql, [alias]).fetchone()[0])


def _warning(field: str, count: int, examples: Iterable[tuple[bytes]]) -> str:
    names = ", ".join(name.decode(errors="backslashreplace") for (name,) in examples)
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    return f"{field}: {count} files were missing when the backup was made: {names}{more}"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def _file_fields(included: Sequence[Model]) -> Iterator[tuple[Model, models.FileField]]:
    for model in included:
        for field in model._meta.local_concrete_fields:
            if isinstance(field, models.FileField):
                yield model, field
