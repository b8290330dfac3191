"""What stands in for live when a promote is rehearsed (PostgreSQL).

A schema with empty copies of all that a swap changes: live's tables, the tables at the other end of
their foreign keys, views and functions over them. Live is read as a SELECT reads it. The swap then
runs against the copy, statement by statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.engines.postgresql import (
    columns,
    foreign_keys,
    functions,
    table_definitions,
    views,
)
from backup_tasks.engines.postgresql.foreign_keys import CrossingKey

Name = tuple[str, str]
"""Schema and name."""


class StandIn:
    """A stand-in for live in a schema of its own."""

    _cursor: Any
    """Inside `fill`."""

    def __init__(self, live: str, schema: str, tables: Sequence[str]) -> None:
        """`tables` are those that a promote replaces."""
        self._live, self.schema = live, schema
        self._tables = tables
        self._names: dict[Name, str] = {}
        """What the copies of other tables, views and functions are called here."""
        self._unique: set[tuple[str, ...]] = set()

    def fill(self, cursor: Any, staging: str) -> None:
        """Make the copies in the schema, which is empty. Inside a transaction, whose search path is
        live's.

        Of tables that stay, the rows are copied to which those in `staging` refer.
        """
        self._cursor = cursor
        present = table_definitions.tables_in(cursor, self._live, self._tables)
        copied = [*present, "django_migrations"]
        table_definitions.copy(
            cursor, self._live, self.schema, copied, without=("security label", "tablespace")
        )
        columns.copy_rows(cursor, self._live, self.schema, "django_migrations")
        columns.copy_sequence(cursor, self._live, self.schema, "django_migrations", "id")
        self._make_foreign_keys(present, staging)
        cursor.execute("SELECT current_setting('search_path')")
        (path,) = cursor.fetchone()
        found_views = views.find(cursor, self._live, present)
        found_functions = functions.find(cursor, self._live, present)
        cursor.execute("SELECT set_config('search_path', %s, true)", [path])
        with table_definitions.looking_in(cursor, self.schema):
            for view in found_views:
                self._make_view(view)
            for function in found_functions:
                name = self._name_of((function.schema, function.name))
                cursor.execute(function.definition_as(qualified(self.schema, name)))

    def _make_foreign_keys(self, present: Sequence[str], staging: str) -> None:
        """Make those of live, with the tables at their other ends, and what staging's need."""
        of_live = foreign_keys.across(self._cursor, self._live, present)
        for key in (*of_live, *foreign_keys.across(self._cursor, staging, self._tables)):
            if key.comes_from_inside:
                # A table of staging that is not promoted is a copy of the one that stays in live.
                in_live = key.parent_schema in (self._live, staging)
                there = (self._live if in_live else key.parent_schema, key.parent)
                self._make_parents(key, there, staging)
            elif key.schema != staging:
                self._make_table((key.schema, key.table))
        for key in of_live:
            inside = qualified(self.schema, key.table if key.comes_from_inside else key.parent)
            if key.comes_from_inside:
                table, parent = inside, self._names[key.parent_schema, key.parent]
                definition = key.definition_to(qualified(self.schema, parent))
            else:
                table = qualified(self.schema, self._names[key.schema, key.table])
                definition = key.definition_to(inside)
            self._cursor.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {quoted(key.name)} {definition}"
            )

    def _make_parents(self, key: CrossingKey, there: Name, staging: str) -> None:
        """Make the table that a key refers to, with the rows that it needs."""
        if not self._make_table(there):
            return  # live lacks it: the swap says so
        name = qualified(self.schema, self._names[there])
        listed = ", ".join(map(quoted, key.parent_columns))
        if (name, *key.parent_columns) not in self._unique:
            self._cursor.execute(f"CREATE UNIQUE INDEX ON {name} ({listed})")
            self._unique.add((name, *key.parent_columns))
        if table_definitions.tables_in(self._cursor, staging, [key.table]):
            self._cursor.execute(
                f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {qualified(*there)} p WHERE"
                f" EXISTS (SELECT FROM {qualified(staging, key.table)} r"
                f" WHERE {key.matches('r', 'p')}) ON CONFLICT DO NOTHING"
            )

    def _make_table(self, there: Name) -> bool:
        """Make an empty copy of the columns of a table that stays. False if there is none."""
        if there in self._names:
            return True
        if not table_definitions.tables_in(self._cursor, there[0], [there[1]]):
            return False
        name, original = qualified(self.schema, self._name_of(there)), qualified(*there)
        self._cursor.execute(f"CREATE TABLE {name} AS TABLE {original} WITH NO DATA")
        self._cursor.execute(
            "SELECT format('GRANT USAGE, CREATE ON SCHEMA %%s TO %%s; ALTER TABLE %%s OWNER TO"
            " %%2$s', %s::text, relowner::regrole, %s::text) FROM pg_class"
            " WHERE oid = %s::regclass AND relowner <> current_user::regrole",
            [quoted(self.schema), name, original],
        )
        for (statement,) in self._cursor.fetchall():
            self._cursor.execute(statement)
        return True

    def _make_view(self, view: views.View) -> None:
        name = qualified(self.schema, self._name_of((view.schema, view.name)))
        kind, ending = f"VIEW {name}", ""
        if view.materialized:
            kind = f"MATERIALIZED VIEW {name} USING {quoted(view.method)}"
            ending = " WITH NO DATA"
        self._cursor.execute(
            f"CREATE {kind}{view.with_options} AS {view.definition.rstrip('; ')}{ending}"
        )

    def _name_of(self, original: Name) -> str:
        """Return what the copy is called. Things of other schemas get another name."""
        own = original[1] if original[0] == self._live else f"beside_{len(self._names)}"
        return self._names.setdefault(original, own)

    def as_in_live(self, text: str) -> str:
        """Return what is said of this schema as it is to be said of live."""
        for (schema, original), name in self._names.items():
            if schema != self._live:
                text = text.replace(f"{quoted(self.schema)}.{quoted(name)}", f"{schema}.{original}")
                text = text.replace(f"{self.schema}.{name}", f"{schema}.{original}")
                text = text.replace(name, f"{schema}.{original}")
        return text.replace(self.schema, self._live)
