"""Moved keys: the primary keys in key columns that a merge changes, since it gives a row another
key. See `rows.key_columns`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from django.apps import apps
from django.contrib.contenttypes.models import ContentType

from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel
from backup_tasks.rows.key_columns import KeyColumn, key_columns
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.query import Field

MOVED = "merge_moved"
"""Table in staging of the keys that change in key columns: kind, old, new (text). The kind is the
id that the target's content type has in the package. Where the setting names the target, it is the
negative number of its mapping table, less one."""


class MovedKeys:
    """The table of keys that change. It grows with each model that is matched."""

    def __init__(self, dialect: Dialect, mapped_models: Sequence[MappedModel]) -> None:
        self._dialect = dialect
        self.columns = {
            mapped.model: key_columns(mapped.model) for mapped in mapped_models if mapped.merged
        }
        by_content_type = _by_content_type({mapped.model: mapped for mapped in mapped_models})
        self._targets: dict[Field, dict[int, MappedModel]] = {}
        """By key column: what its rows refer to in the package, by kind."""
        for mapped in mapped_models:
            for column in self.columns.get(mapped.model, {}).values():
                self._targets[column.field] = dict(
                    self._kinds(mapped, column, by_content_type)
                    if column.content_type
                    else _kind_of(column, mapped_models)
                )
        self._matched: set[MappedModel] = set()
        text = dialect.text("''")
        a_row = f"SELECT 0 AS kind, {text} AS old, {text} AS new"
        empty = f"SELECT r.* FROM ({a_row}) r WHERE 1 = 0"
        self._table = dialect.make(MOVED, empty, ["kind", "old"])
        self._dangling: dict[tuple[Field, int], int] = {}
        """How many keys that dangle became negative, by key column and kind."""

    def _kinds(
        self,
        owner: MappedModel,
        column: KeyColumn,
        by_content_type: Mapping[tuple[str, str], MappedModel],
    ) -> Iterator[tuple[int, MappedModel]]:
        dialect = self._dialect
        content_type = cast(Field, column.content_type)
        for number, app_label, name in dialect.rows(
            f"SELECT DISTINCT c.id, c.app_label, c.model FROM {dialect.staged(owner.table)} s"
            f" JOIN {dialect.staged(ContentType._meta.db_table)} c"
            f" ON c.id = s.{dialect.quote(content_type.column)}"
        ):
            target = by_content_type.get((app_label, name))
            if target is not None and len(target.pk) == 1:
                yield int(number), target

    def targets(self, field: Field) -> set[MappedModel]:
        """Return the models to which rows of the package refer by the key column."""
        return set(self._targets.get(field, {}).values())

    def wanted_order(
        self, mapped_models: Sequence[MappedModel]
    ) -> Iterator[tuple[MappedModel, MappedModel]]:
        """Yield pairs of a model and one that is to be matched before it, since unique columns hold
        its keys; first those of natural keys."""
        for identity in (True, False):
            for mapped in mapped_models:
                for field in self.columns.get(mapped.model, ()):
                    if identity == (field.name in mapped.values):
                        for target in self.targets(field):
                            yield mapped, target

    def is_complete(self, field: Field) -> bool:
        """Whether all models to which the key column refers have been matched."""
        return self.targets(field) <= self._matched

    def add(self, target: MappedModel) -> None:
        """Add the keys of a model whose rows are matched."""
        self._matched.add(target)
        kinds = {
            kind for used in self._targets.values() for kind, of in used.items() if of is target
        }
        dialect = self._dialect
        for kind in sorted(kinds):
            old, new = (dialect.key_text(target.pk[0], name) for name in ("p0", "t0"))
            dialect.run(
                f"INSERT INTO {self._table} (kind, old, new) SELECT {kind}, {old}, {new}"
                f" FROM {dialect.staged(target.mapping)} WHERE p0 <> t0 AND action <> 'gone'"
            )

    def add_dangling(self, owner: MappedModel) -> None:
        """Add the keys of the model's key columns that dangle in the package and are a row's
        primary key in live: they get the negative number, which no row ever gets. Those of models
        that are not matched yet are added by a later call."""
        for field, column in self.columns.get(owner.model, {}).items():
            for kind, target in self._targets[field].items():
                if target in self._matched and (field, kind) not in self._dangling:
                    self._dangling[field, kind] = (
                        self._add_dangling(owner, column, kind, target) if target.is_numbered else 0
                    )

    def _add_dangling(
        self, owner: MappedModel, column: KeyColumn, kind: int, target: MappedModel
    ) -> int:
        dialect = self._dialect
        key = f"s.{dialect.quote(column.field.column)}"
        old = dialect.key_text(column.field, key)
        rows = f"{dialect.staged(owner.table)} s WHERE {key} IS NOT NULL"
        if column.content_type is not None:
            rows += f" AND s.{dialect.quote(column.content_type.column)} = {kind}"
        ids = dialect.make(
            "merge_ids",
            f"SELECT DISTINCT {kind} AS kind, {old} AS old, {dialect.number(old)} AS n FROM {rows}",
            ["n"],
        )
        mapping, negative = dialect.staged(target.mapping), dialect.concat("'-'", "d.old")
        return dialect.run(
            f"INSERT INTO {self._table} (kind, old, new) SELECT d.kind, d.old, {negative}"
            f" FROM {ids} d"
            f" WHERE NOT EXISTS (SELECT 1 FROM {mapping} m WHERE m.p0 = d.n AND m.action <> 'gone')"
            f" AND NOT EXISTS"
            f" (SELECT 1 FROM {self._table} g WHERE g.kind = d.kind AND g.old = d.old)"
            f" AND ({is_taken(dialect, target, 'd.n')})"
        )

    def translated(self, column: KeyColumn, row: str, alias: str) -> tuple[str, str]:
        """Return the SQL of the new key, as text, NULL if it stays, and the join for it. `row` is
        the alias of the package's row, `alias` is for the join."""
        dialect = self._dialect
        if column.content_type is not None:
            kind = f"{row}.{dialect.quote(column.content_type.column)}"
        else:
            kind = ", ".join(map(str, self._targets[column.field]))
        old = dialect.key_text(column.field, f"{row}.{dialect.quote(column.field.column)}")
        return f"{alias}.new", (
            f" LEFT JOIN {self._table} {alias} ON {alias}.kind = {kind} AND {alias}.old = {old}"
        )

    def warnings(self) -> Iterator[str]:
        """Yield a warning for each key column in which dangling keys become negative."""
        for (field, kind), count in self._dangling.items():
            if count:
                yield (
                    f"{field.model._meta.label_lower}.{field.name} holds primary keys of "
                    f"{self._targets[field][kind].label} that no row of the package has: {count}. "
                    "The target has other rows with these keys, so they become negative, and lead "
                    "nowhere"
                )

    def any(self) -> bool:
        """Whether any key changes."""
        return bool(self._dialect.value(f"SELECT count(*) FROM {self._table}"))


def _kind_of(
    column: KeyColumn, mapped_models: Sequence[MappedModel]
) -> Iterator[tuple[int, MappedModel]]:
    for mapped in mapped_models:
        if mapped.model is column.target and len(mapped.pk) == 1:
            yield -mapped.number - 1, mapped


def is_taken(dialect: Dialect, mapped: MappedModel, value: str) -> str:
    """Return the condition that a row of live has this primary key, or will get it."""
    pk = dialect.quote(mapped.pk[0].column)
    return (
        f"EXISTS (SELECT 1 FROM {dialect.quote(mapped.table)} l WHERE l.{pk} = {value})"
        f" OR EXISTS (SELECT 1 FROM {dialect.staged(mapped.mapping)} n WHERE n.t0 = {value})"
    )


def content_types_of(model: Model) -> list[tuple[str, str]]:
    """Return the app label and model name of the content types of a model, its proxies'
    included."""
    return [
        (other._meta.app_label, cast(str, other._meta.model_name))
        for other in apps.get_models(include_auto_created=True)
        if other._meta.concrete_model is model
    ]


def _by_content_type(
    mapped_models: Mapping[Model, MappedModel],
) -> dict[tuple[str, str], MappedModel]:
    return {
        (model._meta.app_label, cast(str, model._meta.model_name)): mapped
        for model in apps.get_models(include_auto_created=True)
        if (mapped := mapped_models.get(cast(Model, model._meta.concrete_model)))
    }
