"""Unresolved references: to users whom a package does not hold, and to rows that did not exist when
it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib.auth.hashers import make_password

from backup_tasks.errors import DoesNotFit
from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel, refers_by_pk, target_of
from backup_tasks.merge.moved_keys import is_taken
from backup_tasks.merge.policy import Policy, is_user_model
from backup_tasks.printable import printable
from backup_tasks.rows.query import Field, key_query

_MAX_EXAMPLES = 20
_BATCH_ROWS = 500

References = list[tuple[MappedModel, Field]]


def references_to(mapped: MappedModel, every: Sequence[MappedModel]) -> References:
    """Return the foreign keys of merged models that refer to the model by its primary key."""
    return [
        (other, field)
        for other in every
        if other.merged
        for field in other.written
        if target_of(field) is mapped.model and refers_by_pk(field)
    ]


def map_users(dialect: Dialect, users: MappedModel, policy: Policy) -> None:
    """Map users as `--map-user` says. Raises DoesNotFit for a user who does not exist."""
    mapping = dialect.staged(users.mapping)
    for old, new in policy.map_users.items():
        pks = []
        for name, within, where in ((old, dialect.staging, "the package"), (new, "", "the target")):
            columns, source = key_query(users.model, users.paths, dialect.connection, within)
            found = dialect.rows(
                f"SELECT t.{dialect.quote(users.pk[0].column)} FROM {source}"
                f" WHERE {columns[0]} = %s",
                [name],
            )
            if not found:
                raise DoesNotFit(
                    f"--map-user {old}={new}: {where} has no user {name}",
                    obj=users.label,
                    hint="Names are natural keys: the user's of the package, then the target's.",
                )
            pks.append(found[0][0])
        dialect.run(f"UPDATE {mapping} SET t0 = %s, action = 'mapped' WHERE p0 = %s", pks[::-1])


def resolve_missing(
    dialect: Dialect, outside: MappedModel, every: Sequence[MappedModel], policy: Policy
) -> list[str]:
    """Apply the policy to references to rows that neither side has.

    Return a message for each missing row that the policy does not decide, with what refers to it.
    """
    mapping = dialect.staged(outside.mapping)
    if not dialect.value(f"SELECT count(*) FROM {mapping} WHERE action = 'unmatched'"):
        return []
    references = references_to(outside, every)
    users = is_user_model(outside.model)
    if users and policy.missing_users == "null":
        return _set_null(dialect, outside, references)
    return list(_missing_row_messages(dialect, outside, references))


def _missing_row_messages(
    dialect: Dialect, outside: MappedModel, references: References
) -> Iterator[str]:
    columns, source = key_query(outside.model, outside.paths, dialect.connection, dialect.staging)
    pk, mapping = dialect.quote(outside.pk[0].column), dialect.staged(outside.mapping)
    missing = f"m.action = 'unmatched' ORDER BY {', '.join(columns)}"
    for row in dialect.rows(
        f"SELECT t.{pk}, {', '.join(columns)} FROM {source}"
        f" JOIN {mapping} m ON m.p0 = t.{pk} WHERE {missing} LIMIT {_MAX_EXAMPLES}"
    ):
        counts = []
        for mapped, field in references:
            column = dialect.quote(field.column)
            count = dialect.value(
                f"SELECT count(*) FROM {dialect.staged(mapped.table)} WHERE {column} = %s", [row[0]]
            )
            if count:
                counts.append(f"{count} {mapped.label}.{field.name}")
        name = printable(", ".join(map(str, row[1:])))
        yield f"{outside.label} {name} is in neither, and {', '.join(counts)} refer to it"
    total = dialect.value(f"SELECT count(*) FROM {mapping} WHERE action = 'unmatched'")
    if total > _MAX_EXAMPLES:
        yield f"and {total - _MAX_EXAMPLES} more of {outside.label}"


def _set_null(dialect: Dialect, outside: MappedModel, references: References) -> list[str]:
    mapping = dialect.staged(outside.mapping)
    problems = []
    for mapped, field in references:
        count = not field.null and dialect.value(
            f"SELECT count(*) FROM {dialect.staged(mapped.table)} s JOIN {mapping} m"
            f" ON m.p0 = s.{dialect.quote(field.column)} WHERE m.action = 'unmatched'"
        )
        if count:
            problems.append(
                f"{mapped.label}.{field.name} can't be empty, and {count} rows of it refer to "
                f"a {outside.label} that is in neither"
            )
    dialect.run(f"UPDATE {mapping} SET action = 'none', t0 = NULL WHERE action = 'unmatched'")
    return problems


def make_placeholders(dialect: Dialect, users: MappedModel) -> None:
    """Create the missing users in live, inactive and without a password. No signal is sent."""
    columns, source = key_query(users.model, users.paths, dialect.connection, dialect.staging)
    pk, mapping = dialect.quote(users.pk[0].column), dialect.staged(users.mapping)
    manager: Any = users.model._base_manager.using(dialect.connection.alias)
    last: Any = None
    while True:
        after, params = ("", []) if last is None else (f" AND t.{pk} > %s", [last])
        found = dialect.rows(
            f"SELECT t.{pk}, {', '.join(columns)} FROM {source} JOIN {mapping} m ON m.p0 = t.{pk}"
            f" WHERE m.action = 'unmatched'{after} ORDER BY t.{pk} LIMIT {_BATCH_ROWS}",
            params,
        )
        if not found:
            break
        last = found[-1][0]
        fields = {field.name for field in users.written}
        more: dict[str, Any] = {"password": make_password(None)} if "password" in fields else {}
        more |= {"is_active": False} if "is_active" in fields else {}
        manager.bulk_create(
            [users.model(**dict(zip(users.paths, key, strict=True)), **more) for _, *key in found]
        )


def keep_dangling(dialect: Dialect, mapped: MappedModel, every: Sequence[MappedModel]) -> int:
    """Make references that dangle in the package dangle in live too.

    A reference keeps its number if no row of live has that primary key. Otherwise it gets the
    negative number, which no row ever gets. Return how many numbers were replaced.
    """
    if not mapped.has_auto_pk:
        return 0
    mapping = dialect.staged(mapped.mapping)
    replaced = 0
    for other, field in references_to(mapped, every):
        if getattr(field, "db_constraint", True):
            continue
        value = f"s.{dialect.quote(field.column)}"
        replaced += dialect.run(
            f"INSERT INTO {mapping} (p0, t0, action)"
            f" SELECT DISTINCT {value}, -{value}, 'gone' FROM {dialect.staged(other.table)} s"
            f" WHERE {value} IS NOT NULL"
            f" AND NOT EXISTS (SELECT 1 FROM {mapping} m WHERE m.p0 = {value})"
            f" AND ({is_taken(dialect, mapped, value)})"
        )
    return replaced
