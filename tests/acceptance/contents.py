"""All that a project holds, read without any code of the project's: its tables through a
connection of the test's own, its files from the disk. What a restore claims is compared with it."""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from edms.local.mariadb import connected
from tests.services import Project

CONTROL = ("axes_", "backup_tasks_", "django_celery_results_", "django_session")
"""How the names of the tables start that a restore leaves alone."""

Rows = list[str]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that a backup has to bring back."""

    tables: dict[str, Rows]
    """Each table's rows as the database itself writes them, primary keys included, sorted."""
    structure: Rows
    """Columns, indexes and constraints."""
    files: dict[str, bytes]

    def count(self, table: str) -> int:
        return len(self.tables[table])


def contents(project: Project) -> Contents:
    """Read the project. The record of migrations counts without the times of their application."""
    tables, structure = _READ[project.engine](project)
    return Contents(tables=tables, structure=structure, files=files(project))


def control(project: Project) -> dict[str, Rows]:
    """Read the ledger's tables, the sessions and the like."""
    if project.engine == "sqlite":
        with closing(sqlite3.connect(project.database)) as database:
            return {name: _sqlite_rows(database, name) for name in _sqlite_tables(database)[1]}
    if project.engine == "mariadb":
        with connected(project.database_url) as cursor:
            return {name: _mariadb_rows(cursor, name) for name in _mariadb_tables(cursor)[1]}
    with psycopg.connect(project.database_url) as server:
        return {name: _postgres_rows(server, name) for name in _postgres_tables(server)[1]}


def files(project: Project) -> dict[str, bytes]:
    """Read the project's uploaded files, by name."""
    return {
        str(path.relative_to(project.media)): path.read_bytes()
        for path in sorted(project.media.rglob("*"))
        if path.is_file() and ".backup_tasks" not in path.parts
    }


def _sqlite(project: Project) -> tuple[dict[str, Rows], Rows]:
    with closing(sqlite3.connect(project.database)) as database:
        rows = {name: _sqlite_rows(database, name) for name in _sqlite_tables(database)[0]}
        made = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return rows, sorted(repr(row) for row in made)


def _sqlite_tables(database: sqlite3.Connection) -> tuple[list[str], list[str]]:
    # An index of FTS5 and the tables that it keeps itself in hold nothing of their own: they are
    # compared with what they index by `test_search_on_sqlite`.
    names = database.execute(
        "SELECT name FROM pragma_table_list"
        " WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return _apart(name for (name,) in names)


def _sqlite_rows(database: sqlite3.Connection, name: str) -> Rows:
    columns = "app, name" if name == "django_migrations" else "*"
    return sorted(map(repr, database.execute(f'SELECT {columns} FROM "{name}"')))


def _postgres(project: Project) -> tuple[dict[str, Rows], Rows]:
    with psycopg.connect(project.database_url) as server:
        rows = {name: _postgres_rows(server, name) for name in _postgres_tables(server)[0]}
        made = server.execute(_STRUCTURE)
        return rows, sorted(repr(row) for row in made)


def _postgres_tables(server: "psycopg.Connection[Any]") -> tuple[list[str], list[str]]:
    names = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return _apart(name for (name,) in names)


def _postgres_rows(server: "psycopg.Connection[Any]", name: str) -> Rows:
    text = "(t.app, t.name)::text" if name == "django_migrations" else "t::text"
    found = server.execute(f'SELECT {text} FROM public."{name}" t')
    return sorted(row for (row,) in found)


def _mariadb(project: Project) -> tuple[dict[str, Rows], Rows]:
    with connected(project.database_url) as cursor:
        every = _mariadb_tables(cursor)
        rows = {name: _mariadb_rows(cursor, name) for name in every[0]}
        made = []
        for name in (*every[0], *every[1]):
            cursor.execute(f"SHOW CREATE TABLE `{name}`")
            made.append(re.sub(r" AUTO_INCREMENT=\d+", "", cursor.fetchone()[1]))
        return rows, made


def _mariadb_tables(cursor: Any) -> tuple[list[str], list[str]]:
    cursor.execute("SHOW TABLES")
    return _apart(name for (name,) in cursor.fetchall())


def _mariadb_rows(cursor: Any, name: str) -> Rows:
    cursor.execute(f"SELECT {'app, name' if name == 'django_migrations' else '*'} FROM `{name}`")
    return sorted(map(repr, cursor.fetchall()))


_READ = {"sqlite": _sqlite, "postgres": _postgres, "mariadb": _mariadb}


def _apart(names: Any) -> tuple[list[str], list[str]]:
    every = sorted(names)
    return (
        [name for name in every if not name.startswith(CONTROL)],
        [name for name in every if name.startswith(CONTROL)],
    )


_STRUCTURE = """
    SELECT 'column', table_name, column_name, data_type, character_maximum_length::text,
           is_nullable, column_default, is_identity, identity_generation
      FROM information_schema.columns WHERE table_schema = 'public'
     UNION ALL
    SELECT 'index', tablename, indexname, indexdef, '', '', '', '', ''
      FROM pg_indexes WHERE schemaname = 'public'
     UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid),
           convalidated::text, condeferrable::text, condeferred::text, '', ''
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""
