"""The schema objects of an SQLite file, from its table `sqlite_master`."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backup_tasks.engines.base import quoted

_VIRTUAL = re.compile(
    r"""\s* CREATE \s+ VIRTUAL \s+ TABLE \s+ (?: "(?:[^"]|"")*" | '(?:[^']|'')*' | `[^`]*`
        | \[[^\]]*\] | [^\s"'`\[]+ ) \s* USING \s+ ["'`\[]? (\w+) ["'`\]]? \s*
        (?: \( (.*) \) )? \s* $
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_ARGUMENT = re.compile(
    r"""(?: "[^"]*" | '[^']*' | `[^`]*` | \[[^\]]*\] | [^,"'`\[] )+""", re.VERBOSE
)
_CONTENT = re.compile(r"\s* content \s* = \s* (.*?) \s* $", re.IGNORECASE | re.DOTALL | re.VERBOSE)
_FULL_TEXT = ("fts3", "fts4", "fts5")
_SHADOWS = {
    "fts3": ("content", "segments", "segdir"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    **dict.fromkeys(("rtree", "rtree_i32", "geopoly"), ("node", "rowid", "parent")),
    **dict.fromkeys(("fts4aux", "fts5vocab", "fts3tokenize", "dbstat"), ()),
}
"""By module, the suffixes of a virtual table's shadow tables, which hold its content. Source:
SQLite's documentation of each module."""

_OPTIONS = {
    "STRICT": re.compile(r"\)[^)]*\bSTRICT\b[^)]*$", re.IGNORECASE),
    "WITHOUT ROWID": re.compile(r"\)[^)]*\bWITHOUT\s+ROWID\b[^)]*$", re.IGNORECASE),
    "AUTOINCREMENT": re.compile(r"\bPRIMARY\s+KEY\b[^,]*\bAUTOINCREMENT\b", re.IGNORECASE),
}

STRUCTURE_TABLE = "backup_tasks_structure"
"""A table of undo files, see `recorded_structure`. It is none of live's."""

_AFFINITIES = {
    "integer": ("INT",),
    "text": ("CHAR", "CLOB", "TEXT"),
    "blob": ("BLOB",),
    "real": ("REAL", "FLOA", "DOUB"),
}


@dataclass(frozen=True, kw_only=True)
class SchemaObject:
    """A row of `sqlite_master`: a table, an index, a trigger or a view."""

    kind: str
    name: str
    table: str
    """The table of an index or a trigger; else its own name."""
    sql: str
    """Its CREATE statement."""

    @cached_property
    def _virtual(self) -> re.Match[str] | None:
        return _VIRTUAL.match(self.sql) if self.kind == "table" else None

    @property
    def module(self) -> str:
        """The module of a virtual table, such as `fts5`; else ""."""
        return self._virtual[1].lower() if self._virtual else ""

    @property
    def is_known(self) -> bool:
        """Whether it is no virtual table, or one of SQLite's own modules."""
        return not self.module or self.module in _SHADOWS

    @property
    def is_full_text(self) -> bool:
        return self.module in _FULL_TEXT

    @property
    def holds_rows(self) -> bool:
        """Whether it is a virtual table that stores rows, and not only a view of other rows."""
        return bool(_SHADOWS.get(self.module, ()))

    @property
    def content(self) -> str | None:
        """The table or view that a full-text table indexes (external content), "" if it is
        contentless, None if it stores its own content."""
        if not self._virtual or not self.is_full_text:
            return None
        for argument in _ARGUMENT.findall(self._virtual[2] or ""):
            if found := _CONTENT.match(argument):
                return _unquoted(found[1])
        return None

    @property
    def stores_values(self) -> bool:
        """Whether it is a virtual table that can be written and read like a table."""
        return self.holds_rows and self.content is None and self.module != "geopoly"

    @property
    def options(self) -> set[str]:
        """Options of a table that its columns don't show."""
        return {name for name, option in _OPTIONS.items() if option.search(self.sql)}

    @property
    def shadows(self) -> list[str]:
        """The names of the shadow tables that a virtual table may have."""
        endings = _SHADOWS.get(self.module, ())
        own = self.content is None  # else a table of that name is not its shadow table
        return [f"{self.name}_{ending}" for ending in endings if own or ending != "content"]


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in "\"'`[":
        return text[1:-1].replace(text[-1] * 2, text[-1])
    return text


def objects(cursor: Any, schema: str = "main") -> list[SchemaObject]:
    """Return the objects with a CREATE statement, in an order in which they can be created.
    Internal tables of SQLite and shadow tables are left out."""
    cursor.execute(
        f"SELECT type, name, tbl_name, sql FROM {schema}.sqlite_master"
        " WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_' AND name <> %s"
        " ORDER BY type <> 'table', rowid",
        [STRUCTURE_TABLE],
    )
    found = [
        SchemaObject(kind=kind, name=name, table=table, sql=sql)
        for kind, name, table, sql in cursor.fetchall()
    ]
    shadows = {name for each in found for name in each.shadows}
    return [each for each in found if each.table not in shadows]


def of_tables(found: Sequence[SchemaObject], tables: Collection[str]) -> list[SchemaObject]:
    """Return the tables, with their indexes and triggers."""
    return [each for each in found if each.table in tables and each.kind != "view"]


def missing_in(cursor: Any, schema: str, tables: Collection[str]) -> list[str]:
    """Return what live's tables have and those of the other schema have not, in words: indexes,
    triggers, columns, options of the table. Nothing if both have the same migrations: the tables
    stay then, and only their rows are replaced."""
    if has_same_migrations(cursor, schema):
        return []
    made = {each.name: each for each in objects(cursor, schema)}
    found = []
    for each in of_tables(objects(cursor), tables):
        if each.kind != "table":
            found += [] if each.name in made else [f"{each.kind} {each.name} of {each.table}"]
        elif each.name in made and not each.module:
            lost = [*columns(cursor, each.name)]
            there = columns(cursor, each.name, schema)
            found += [f"column {name} of {each.name}" for name in lost if name not in there]
            options = each.options - made[each.name].options
            found += [f"{option} of {each.name}" for option in sorted(options)]
    return sorted(found)


def has_same_migrations(cursor: Any, schema: str) -> bool:
    """Whether live and the other schema have the same migrations of the apps that both have."""
    before, after = _migrations(cursor, "main"), _migrations(cursor, schema)
    apps = {app for app, _ in before} & {app for app, _ in after}
    return not any(app in apps for app, _ in before ^ after)


def _migrations(cursor: Any, schema: str) -> set[tuple[str, str]]:
    cursor.execute(f"SELECT app, name FROM {schema}.django_migrations")
    return set(cursor.fetchall())


def columns(cursor: Any, table: str, schema: str = "main") -> list[str]:
    """Return the columns that can be written: those that are not generated."""
    return list(affinities(cursor, table, schema))


def affinities(cursor: Any, table: str, schema: str = "main") -> dict[str, str]:
    """Return the columns that can be written, and their affinities: the type to which SQLite
    converts written values. Source: "Datatypes In SQLite", section 3.1."""
    found = cursor.execute(f"PRAGMA {schema}.table_xinfo({quoted(table)})").fetchall()
    written = {column[1]: _affinity(column[2]) for column in found if column[6] == 0}
    # A full-text table hides a column of its own name, and its key.
    is_full_text = any(column[6] == 1 and column[1] == table for column in found)
    return {**written, "rowid": "integer"} if is_full_text else written


def _affinity(declared: str) -> str:
    for affinity, parts in _AFFINITIES.items():
        if any(part in declared.upper() for part in parts):
            return affinity
    return "numeric" if declared else "blob"
