"""Proves, within the transaction, that live holds what was merged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from django.db import IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import ValidationFailed
from backup_tasks.merge.dialect import Ground
from backup_tasks.merge.mapped_models import Joined, target_of
from backup_tasks.merge.translation import GENERIC, Translation, generic_keys
from backup_tasks.package.manifest import ModelEntry
from backup_tasks.rows.codec import Shape
from backup_tasks.rows.copy_dump import server_lines
from backup_tasks.rows.digest import Digests
from backup_tasks.rows.integrity import dangling
from backup_tasks.rows.natural_keys import Model

Dangling = Mapping[Model, Mapping[str, int]]


def unequal(ground: Ground, joined: Joined, rows: Translation) -> Iterator[str]:
    """Yield what is wrong if a row of the package is not in live as it should be."""
    live = f"{ground.quote(joined.table)} l"
    taken = "x.merge_action IN ('insert', 'update', 'same')"
    there = ground.value(
        f"SELECT count(*) FROM ({rows.select()}) x JOIN {live} ON {rows.live('l', 'x')}"
        f" WHERE {taken} AND NOT ({rows.changed('x', 'l')})"
    )
    expected = ground.value(f"SELECT count(*) FROM ({rows.select()}) x WHERE {taken}")
    if there != expected:
        yield f"{joined.label}: {expected} rows were merged, {there} of them are in live as such"


def digests_equal(
    ground: Ground,
    shapes: Sequence[Shape],
    entries: Sequence[ModelEntry],
    all_: Mapping[Model, Joined],
) -> tuple[dict[str, bool | None], list[str]]:
    """Read the merged rows of live as the dump would, and compare with the package's manifest.

    None where they differ, and may: live's version of something stayed, a generic key changed.
    """
    may_differ = _may_differ(ground, shapes, all_)
    equal: dict[str, bool | None] = {}
    problems = []
    for shape, entry in zip(shapes, entries, strict=True):
        joined = all_[shape.model]
        on = " AND ".join(
            f"m.{name} = t.{ground.quote(field.column)}"
            for name, field in zip(joined.columns("t"), joined.pk, strict=True)
        )
        actions = "('insert', 'update', 'same', 'keep')"
        mapping = ground.staged(joined.mapping)
        shape.query.narrowed = f" JOIN {mapping} m ON {on} AND m.action IN {actions}"
        digests, count = Digests(), 0
        for heads, rests in server_lines(shape) or shape.lines():
            digests.add(heads, rests)
            count += len(heads)
        same = (digests.digest, count) == (entry.digest, entry.count)
        equal[entry.label] = True if same else None
        if not same and shape.model not in may_differ:
            problems.append(f"{entry.label}: {entry.count} merged, with other content in live")
    return equal, problems


def _may_differ(
    ground: Ground, shapes: Sequence[Shape], all_: Mapping[Model, Joined]
) -> set[Model]:
    shows_pk = {shape.model for shape in shapes if shape.shows_pk}
    other_key: set[Model] = set()
    for model, joined in all_.items():
        where = "action IN ('keep', 'mapped', 'none', 'gone')"
        if model in shows_pk or not joined.merged:
            where += " OR " + " OR ".join(
                f"{p} <> {t}" for p, t in zip(joined.columns("p"), joined.columns("t"), strict=True)
            )
        if ground.value(f"SELECT count(*) FROM {ground.staged(joined.mapping)} WHERE {where}"):
            other_key.add(model)
    found = {m for m in other_key if all_[m].merged}
    if ground.value(f"SELECT count(*) FROM {ground.staged(GENERIC)}"):
        found |= {model for model in all_ if generic_keys(model)}
    size = -1
    while len(found | other_key) != size:
        size = len(found | other_key)
        found |= {
            model
            for model in all_
            if any(target_of(f) in found | other_key for f in model._meta.local_concrete_fields)
        }
    return found


def dangling_in(connection: BaseDatabaseWrapper, models: Sequence[Model]) -> Dangling:
    """Return how many references of live lead nowhere."""
    return {model: dangling(connection, model) for model in models}


def more_dangling(
    before: Dangling, after: Dangling, package: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    """Yield what refers to nothing now, and did in neither live nor the package."""
    for model, counts in after.items():
        label = model._meta.label_lower
        for name, count in counts.items():
            known = before[model].get(name, 0) + package.get(label, {}).get(name, 0)
            if count > known:
                yield f"{label}.{name}: {count} rows refer to nothing, {known} did before"


def check_constraints(connection: BaseDatabaseWrapper) -> None:
    """Let PostgreSQL check now what it would check at the end; elsewhere `dangling_in` counts every
    foreign key. Raises ValidationFailed."""
    try:
        if connection.vendor == "postgresql":
            connection.check_constraints()
    except IntegrityError as error:
        raise ValidationFailed(
            f"the merged rows break a constraint: {error}",
            obj=f"database {connection.alias}",
            hint="Live data was not touched.",
        ) from error
