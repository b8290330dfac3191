"""What a SQLite file holds, as its table `sqlite_master` says."""

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
"""By module, the endings of the tables in which a virtual table keeps what it holds. Source:
SQLite's documentation of each module."""

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
    """To which an index or a trigger belongs; else its own name."""
    sql: str
    """The statement that made it."""

    @cached_property
    def _virtual(self) -> re.Match[str] | None:
        return _VIRTUAL.match(self.sql) if self.kind == "table" else None

    @property
    def module(self) -> str:
        """Of a virtual table, what it is made with, such as `fts5`; else nothing."""
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
        """Whether it is a virtual table that holds rows, and does not only show others'."""
        return bool(_SHADOWS.get(self.module, ()))

    @property
    def content(self) -> str | None:
        """Of a full-text table, the table or view whose rows it indexes; "" if it keeps none of
        them (contentless); None if it keeps them itself."""
        if not self._virtual or not self.is_full_text:
            return None
        for argument in _ARGUMENT.findall(self._virtual[2] or ""):
            if found := _CONTENT.match(argument):
                return _unquoted(found[1])
        return None

    @property
    def shadows(self) -> list[str]:
        """The names of the tables in which a virtual table may keep what it holds."""
        endings = _SHADOWS.get(self.module, ())
        own = self.content is None  # else a table of that name is somebody else's
        return [f"{self.name}_{ending}" for ending in endings if own or ending != "content"]


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in "\"'`[":
        return text[1:-1].replace(text[-1] * 2, text[-1])
    return text


def objects(cursor: Any, schema: str = "main") -> list[SchemaObject]:
    """Return what was made by statements, in the order in which it can be made again; the tables
    that SQLite and virtual tables make for themselves are not among it."""
    cursor.execute(
        f"SELECT type, name, tbl_name, sql FROM {schema}.sqlite_master"
        " WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_' ORDER BY type <> 'table', rowid"
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


def columns(cursor: Any, table: str, schema: str = "main") -> list[str]:
    """Return the columns that can be written: those that are not generated."""
    return list(affinities(cursor, table, schema))


def affinities(cursor: Any, table: str, schema: str = "main") -> dict[str, str]:
    """Return the columns that can be written, with the affinity of each: to what SQLite converts
    the values that are written there. Source: "Datatypes In SQLite", section 3.1."""
    found = cursor.execute(f"PRAGMA {schema}.table_xinfo({quoted(table)})").fetchall()
    return {column[1]: _affinity(column[2]) for column in found if column[6] == 0}


def _affinity(declared: str) -> str:
    for affinity, parts in _AFFINITIES.items():
        if any(part in declared.upper() for part in parts):
            return affinity
    return "numeric" if declared else "blob"
