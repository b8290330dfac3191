"""Key matching: makes the mapping table of a model, which says which row of live each row of the
package is or becomes.

p0…         primary key in the package
t0…         primary key in live
action      while keys are matched: matched (by its natural key), hit (by another unique value),
            unmatched. In the end:
            insert, update
            same    live's row is equal already
            keep    live's row stays as it is
            mapped  the policy names the row of live
            none    neither side has the row; references to it become NULL
            gone    the package has no such row; references to it must dangle in live too
conflict    the kind of conflict, see `conflicts`
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from django.contrib.contenttypes.models import ContentType

from backup_tasks.errors import DoesNotFit
from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel, end_of, target_of
from backup_tasks.merge.moved_keys import MovedKeys, content_types_of
from backup_tasks.merge.translation import Translation
from backup_tasks.rows.key_columns import key_columns
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.query import Field, key_query


class KeyMatching:
    """Makes the mapping tables, one model after the other."""

    def __init__(self, dialect: Dialect, moved: MovedKeys) -> None:
        self._dialect, self._moved = dialect, moved
        self._mapped: dict[Model, MappedModel] = {}
        """The models that are matched so far."""

    def match(self, mapped: MappedModel) -> None:
        """Make the table, and match rows by natural key. Raises DoesNotFit for a key that several
        rows have, or that can't be compared."""
        dialect = self._dialect
        self._refuse_unmatched_key_columns(mapped)
        package, live = self._keys_select(mapped, dialect.staging), self._keys_select(mapped, "")
        parts = range(len(mapped.keys) + len(mapped.values))
        on = " AND ".join(f"s.k{number} = l.k{number}" for number in parts)
        columns = [f"s.pk{at} AS p{at}, l.pk{at} AS t{at}" for at in range(len(mapped.pk))]
        dialect.make(
            mapped.mapping,
            f"SELECT {', '.join(columns)}, CASE WHEN l.pk0 IS NULL THEN 'unmatched' ELSE 'matched'"
            f" END AS action, {dialect.text('NULL')} AS conflict"
            f" FROM ({package}) s LEFT JOIN ({live}) l ON {on}",
            mapped.columns("p"),
            mapped.columns("t"),
        )
        self._mapped[mapped.model] = mapped
        self._refuse_ambiguous(mapped, "the target", mapped.columns("p"))
        self._refuse_ambiguous(mapped, "the package", mapped.columns("t"))

    def _keys_select(self, mapped: MappedModel, prefix: str) -> str:
        """Return the SELECT of the primary keys (pk0…) and the natural keys (k0…) of one side."""
        dialect = self._dialect
        moving = {field.name: column for field, column in key_columns(mapped.model).items()}
        moved = self._moved
        columns, source = key_query(mapped.model, mapped.values, dialect.connection, prefix)
        null = [_may_be_null(mapped.model, path) for path in mapped.values]
        for number, path in enumerate(mapped.values):
            if path in moving:
                text = dialect.key_text(moving[path].field, columns[number])
                if prefix and moved.targets(moving[path].field):
                    new, join = moved.translated(moving[path], "t", f"k{number}")
                    text, source = f"COALESCE({new}, {text})", source + join
                columns[number] = text
        for number, field in enumerate(mapped.keys):
            stored = f"t.{dialect.quote(field.column)}"
            other = self._mapped.get(target_of(field))  # type: ignore[arg-type]  # it refers
            if prefix and other is not None:
                mapping = dialect.staged(other.mapping)
                source += f" LEFT JOIN {mapping} m{number} ON m{number}.p0 = {stored}"
                columns.append(f"m{number}.t0")
            else:
                columns.append(stored)
            null.append(field.null)
        keys = [
            f"{dialect.comparable(column, null=may)} AS k{number}"
            for number, (column, may) in enumerate(zip(columns, null, strict=True))
        ]
        own = [f"t.{dialect.quote(f.column)} AS pk{at}" for at, f in enumerate(mapped.pk)]
        return f"SELECT {', '.join([*own, *keys])} FROM {source}"

    def _refuse_unmatched_key_columns(self, mapped: MappedModel) -> None:
        """Raise DoesNotFit if the natural key has keys that can't be translated yet: those of
        another model's key column, and those of rows whose own natural key leads back here."""
        own = key_columns(mapped.model)
        for path in mapped.values:
            field = end_of(mapped.model, path)
            refers = self._moved.targets(field)
            if refers and not (field in own and self._moved.is_complete(field)):
                names = ", ".join(sorted(other.label for other in refers))
                raise DoesNotFit(
                    f"its natural key has the column {path}, which holds primary keys of {names}; "
                    "those are matched later",
                    obj=mapped.label,
                    hint="Name another natural key in NATURAL_KEYS.",
                )

    def _refuse_ambiguous(self, mapped: MappedModel, side: str, columns: list[str]) -> None:
        listed = ", ".join(columns)
        found = self._dialect.rows(
            f"SELECT {listed} FROM {self._dialect.staged(mapped.mapping)}"
            f" WHERE {columns[0]} IS NOT NULL GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
        )
        if found:
            (pk,) = found
            other = "package" if side == "the target" else "target"
            raise DoesNotFit(
                f"several rows of {side} have the natural key of the {other}'s row with the "
                f"primary key {', '.join(map(str, pk))}",
                obj=mapped.label,
                hint="Make the natural key unique in both, or name another one in NATURAL_KEYS.",
            )

    def assign_keys(self, mapped: MappedModel, every: Sequence[MappedModel]) -> None:
        """Give unmatched rows a key in live: that of the row which has one of their unique values
        (a conflict), or else a primary key for a new row, their own if it is free."""
        dialect, mapping = self._dialect, self._dialect.staged(mapped.mapping)
        if mapped.has_auto_pk:
            self._assign_numbers(mapped, every)
            self._match_unique_values(mapped)
            return
        keys = [field for field in mapped.pk if field.is_relation]
        values = [f"m.{name} AS {name}" for name in mapped.columns("p")]
        source = f"{mapping} m"
        for at, field in enumerate(mapped.pk):
            other = self._mapped.get(target_of(field)) if field in keys else None  # type: ignore[arg-type]  # it refers
            value = f"m.p{at}"
            if other is not None:
                source += f" LEFT JOIN {dialect.staged(other.mapping)} o{at} ON o{at}.p0 = {value}"
                value = f"CASE WHEN o{at}.p0 IS NULL THEN {value} ELSE o{at}.t0 END"
            values.append(f"{value} AS t{at}")
        self._assign(
            mapped,
            f"SELECT {', '.join(values)} FROM {source} WHERE m.action = 'unmatched'",
            "action = 'unmatched'",
        )
        self._match_unique_values(mapped)
        dialect.run(f"UPDATE {mapping} SET action = 'insert' WHERE action = 'unmatched'")

    def _match_unique_values(self, mapped: MappedModel) -> None:
        dialect, mapping = self._dialect, self._dialect.staged(mapped.mapping)
        rows = Translation(dialect, mapped, self._mapped, self._moved)
        undecided = "('unmatched', 'insert')" if mapped.has_auto_pk else "('unmatched')"
        own = mapped.columns("p")
        for fields in mapped.uniques():
            if not all(
                self._moved.is_complete(f) and (not f.is_relation or target_of(f) in self._mapped)
                for f in fields
            ):
                continue  # `conflicts.compare` finds these
            on = " AND ".join(f"x.{c} = l.{c}" for c in map(dialect.quote, _columns(fields)))
            found = ", ".join(
                f"l.{dialect.quote(f.column)} AS t{at}" for at, f in enumerate(mapped.pk)
            )
            other = " AND ".join(
                f"o.t{at} = l.{dialect.quote(f.column)}" for at, f in enumerate(mapped.pk)
            )
            self._assign(
                mapped,
                f"SELECT {', '.join(f'x.merge_{name} AS {name}' for name in own)}, {found}"
                f" FROM ({rows.select()}) x JOIN {dialect.quote(mapped.table)} l ON {on}"
                f" WHERE x.merge_action IN {undecided} AND NOT EXISTS (SELECT 1 FROM {mapping} o"
                f" WHERE {other} AND o.action NOT IN {undecided})",
                f"action = 'hit', conflict = 'unique:{_names(fields)}'",
            )

    def _assign(self, mapped: MappedModel, select: str, also: str) -> None:
        """Set t0… of the rows as the SELECT of p0… and t0… says, and the columns in `also`."""
        dialect, own = self._dialect, mapped.columns("p")
        new_keys = dialect.make(f"{mapped.mapping}_new", select, own)
        mapping = dialect.staged(mapped.mapping)
        same = " AND ".join(f"h.{name} = {mapping}.{name}" for name in own)
        values = ", ".join(
            f"{name} = (SELECT h.{name} FROM {new_keys} h WHERE {same})"
            for name in mapped.columns("t")
        )
        dialect.run(
            f"UPDATE {mapping} SET {values}, {also}"
            f" WHERE EXISTS (SELECT 1 FROM {new_keys} h WHERE {same})"
        )

    def _assign_numbers(self, mapped: MappedModel, every: Sequence[MappedModel]) -> None:
        """Give new rows the primary key that they have in the package if it is free in live, and
        else one that neither side has used."""
        dialect, mapping = self._dialect, self._dialect.staged(mapped.mapping)
        (pk,) = map(dialect.quote, _columns(mapped.pk))
        used = [f"SELECT {pk} AS v FROM {dialect.quote(mapped.table)}"]
        if gone := _dangling_numbers(dialect, mapped, every):
            table = dialect.make(f"{mapped.mapping}_gone", " UNION ".join(gone), ["v"])
            used.append(f"SELECT v FROM {table}")
        free = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM ({query}) q WHERE q.v = {mapping}.p0)" for query in used
        )
        dialect.run(
            f"UPDATE {mapping} SET t0 = p0, action = 'insert' WHERE action = 'unmatched' AND {free}"
        )
        highest = 0
        for query in (*used, f"SELECT {pk} AS v FROM {dialect.staged(mapped.table)}"):
            highest = max(highest, dialect.value(f"SELECT max(q.v) FROM ({query}) q") or 0)
        self._assign(
            mapped,
            f"SELECT p0, {highest} + row_number() OVER (ORDER BY p0) AS t0"
            f" FROM {mapping} WHERE action = 'unmatched'",
            "action = 'insert'",
        )


def _dangling_numbers(
    dialect: Dialect, mapped: MappedModel, every: Sequence[MappedModel]
) -> list[str]:
    """Return queries, with a column v, of the primary keys to which dangling references of live
    refer. A new row with such a key would become the target of the reference (T1, T12)."""
    quote = dialect.quote
    (pk,) = map(quote, _columns(mapped.pk))
    found = []
    for other in every:
        rows = f"SELECT {{0}} AS v FROM {quote(other.table)} t"
        gone = f" LEFT JOIN {quote(mapped.table)} o ON o.{pk} = {{0}}"
        gone += f" WHERE o.{pk} IS NULL AND {{0}} IS NOT NULL"
        found += [
            (rows + gone).replace("{0}", f"t.{quote(field.column)}")
            for field in other.written
            if target_of(field) is mapped.model and not getattr(field, "db_constraint", True)
        ]
        for column in key_columns(other.model).values():
            kinds = ""
            if column.content_type is not None:
                named = " OR ".join(
                    f"(c.app_label = '{app_label}' AND c.model = '{name}')"
                    for app_label, name in content_types_of(mapped.model)
                )
                kinds = (
                    f" JOIN {quote(ContentType._meta.db_table)} c"
                    f" ON c.id = t.{quote(column.content_type.column)} AND ({named})"
                )
            elif column.target is not mapped.model:
                continue
            number = dialect.number(dialect.text(f"t.{quote(column.field.column)}"))
            found.append(f"{rows}{kinds}{gone}".replace("{0}", number))
    return found


def _columns(fields: Collection[Field]) -> Iterator[str]:
    return (field.column for field in fields)


def _names(fields: Collection[Field]) -> str:
    return ", ".join(field.name for field in fields)


def _may_be_null(model: Model, path: str) -> bool:
    """Whether the value at the end of a path may be NULL."""
    return "__" in path or bool(model._meta.get_field(path).null)  # type: ignore[union-attr]  # a column
