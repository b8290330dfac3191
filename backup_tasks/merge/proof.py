"""The proof of a merge: compares live with the package before the transaction commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from django.db import IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import ValidationFailed
from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel, target_of
from backup_tasks.merge.moved_keys import MovedKeys
from backup_tasks.merge.translation import Translation
from backup_tasks.package.entries import ModelEntry
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.digest import Digests
from backup_tasks.rows.integrity import dangling
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.read import read_lines

Dangling = Mapping[Model, Mapping[str, int]]


def unequal(dialect: Dialect, mapped: MappedModel, rows: Translation) -> Iterator[str]:
    """Yield a message if a row of the package is not in live as it should be."""
    live = f"{dialect.quote(mapped.table)} l"
    taken = "x.merge_action IN ('insert', 'update', 'same')"
    there = dialect.value(
        f"SELECT count(*) FROM ({rows.select()}) x JOIN {live} ON {rows.is_live_row('l', 'x')}"
        f" WHERE {taken} AND NOT ({rows.changed('x', 'l')})"
    )
    expected = dialect.value(f"SELECT count(*) FROM ({rows.select()}) x WHERE {taken}")
    if there != expected:
        yield f"{mapped.label}: {expected} rows were merged, {there} of them are in live as planned"


def digests_equal(
    dialect: Dialect,
    codecs: Sequence[RowCodec],
    entries: Sequence[ModelEntry],
    mapped_models: Mapping[Model, MappedModel],
    moved: MovedKeys,
) -> tuple[dict[str, bool | None], list[str]]:
    """Read the merged rows of live with the dump's code; compare their digests with the manifest.

    Return, per label, True if they are equal, and None if they may differ, since a row of live
    stayed or a key column changed. Return also a message for each model that may not differ but
    does.
    """
    may_differ = _may_differ(dialect, codecs, mapped_models, moved)
    equal: dict[str, bool | None] = {}
    problems = []
    for codec, entry in zip(codecs, entries, strict=True):
        mapped = mapped_models[codec.model]
        on = " AND ".join(
            f"m.{name} = t.{dialect.quote(field.column)}"
            for name, field in zip(mapped.columns("t"), mapped.pk, strict=True)
        )
        actions = "('insert', 'update', 'same', 'keep')"
        mapping = dialect.staged(mapped.mapping)
        codec.query.filter_join = f" JOIN {mapping} m ON {on} AND m.action IN {actions}"
        digests, count = Digests(), 0
        for prefixes, suffixes in read_lines(codec):
            digests.add(prefixes, suffixes)
            count += len(prefixes)
        same = (digests.digest, count) == (entry.digest, entry.count)
        equal[entry.label] = True if same else None
        if not same and codec.model not in may_differ:
            problems.append(f"{entry.label}: {entry.count} merged, with other content in live")
    return equal, problems


def _may_differ(
    dialect: Dialect,
    codecs: Sequence[RowCodec],
    mapped_models: Mapping[Model, MappedModel],
    moved: MovedKeys,
) -> set[Model]:
    pk_is_identity = {codec.model for codec in codecs if codec.pk_is_identity}
    other_key: set[Model] = set()
    for model, mapped in mapped_models.items():
        where = "action IN ('keep', 'mapped', 'none', 'gone')"
        if model in pk_is_identity or not mapped.merged:
            where += " OR " + " OR ".join(
                f"{p} <> {t}" for p, t in zip(mapped.columns("p"), mapped.columns("t"), strict=True)
            )
        if dialect.value(f"SELECT count(*) FROM {dialect.staged(mapped.mapping)} WHERE {where}"):
            other_key.add(model)
    found = {m for m in other_key if mapped_models[m].merged}
    if moved.any():
        found |= {model for model, columns in moved.columns.items() if columns}
    size = -1
    while len(found | other_key) != size:
        size = len(found | other_key)
        found |= {
            model
            for model in mapped_models
            if any(target_of(f) in found | other_key for f in model._meta.local_concrete_fields)
        }
    return found


def dangling_in(connection: BaseDatabaseWrapper, models: Sequence[Model]) -> Dangling:
    """Return the number of dangling references of live, by model and key."""
    return {model: dangling(connection, model) for model in models}


def more_dangling(
    before: Dangling, after: Dangling, package: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    """Yield a message for each key with more dangling references than live and package had."""
    for model, counts in after.items():
        label = model._meta.label_lower
        for name, count in counts.items():
            known = before[model].get(name, 0) + package.get(label, {}).get(name, 0)
            if count > known:
                yield f"{label}.{name}: {count} rows refer to nothing, {known} did before"


def check_constraints(connection: BaseDatabaseWrapper) -> None:
    """Check PostgreSQL's deferred constraints now instead of at the commit. On other databases
    `dangling_in` checks the foreign keys. Raises ValidationFailed."""
    try:
        if connection.vendor == "postgresql":
            connection.check_constraints()
    except IntegrityError as error:
        raise ValidationFailed(
            f"the merged rows break a constraint: {error}",
            obj=f"database {connection.alias}",
            hint="Live data was not touched.",
        ) from error
