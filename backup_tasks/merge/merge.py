"""The steps of a merge: match, plan, write, prove. A rehearsal ends with the plan."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from backup_tasks.errors import DoesNotFit
from backup_tasks.merge.conflicts import Conflict, compare, conflicts
from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.key_matching import KeyMatching
from backup_tasks.merge.mapped_models import (
    Identities,
    MappedModel,
    in_mapping_order,
    mapped_models_of,
)
from backup_tasks.merge.mixed_groups import mixed_groups
from backup_tasks.merge.moved_keys import MovedKeys
from backup_tasks.merge.policy import Policy, is_user_model
from backup_tasks.merge.proof import unequal
from backup_tasks.merge.stale_keys import StaleKeys, stale_keys
from backup_tasks.merge.translation import Translation
from backup_tasks.merge.unresolved_references import (
    keep_dangling,
    make_placeholders,
    map_users,
    resolve_missing,
)
from backup_tasks.merge.write import write
from backup_tasks.progress import Progress
from backup_tasks.rows.natural_keys import Model


class ModelPlan(TypedDict):
    """What a merge does to one model."""

    insert: int
    update: int
    unchanged: int
    kept: int
    """Rows of the package that are not written, since the target's row stays."""
    renumbered: int
    """Inserted rows that get another primary key than they have in the package."""
    only_in_target: int
    conflicts: list[Conflict]


class Plan(TypedDict):
    """What a merge does, or would do."""

    models: dict[str, ModelPlan]
    missing: list[str]
    stale_keys: list[StaleKeys]
    """Columns that hold primary keys which change, and stay as they are."""
    warnings: list[str]


class Merge:
    """One merge, in the transaction of `dialect`."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        merged: Sequence[Model],
        outside: Sequence[Model],
        identities: Identities,
        policy: Policy,
        progress: Progress,
        referred: Collection[str] = (),
        stays: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """`referred`: labels of merged models of which live's rows stay as they are; `stays`: by
        label, primary keys of the package's rows of which they do."""
        self._referred, self._stays = referred, stays or {}
        self.dialect, self._policy, self._progress = dialect, policy, progress
        mapped_models = mapped_models_of(merged, outside, identities)
        self.moved = MovedKeys(dialect, mapped_models)
        self._order = in_mapping_order(mapped_models, self.moved.wanted_order(mapped_models))
        self.mapped_models = {mapped.model: mapped for mapped in self._order}
        self._rows = {
            mapped: Translation(dialect, mapped, self.mapped_models, self.moved)
            for mapped in self._order
            if mapped.merged
        }

    def plan(self) -> Plan:
        """Make the mapping tables, and return the plan. Changes nothing in live, except that it
        inserts placeholder users if the policy asks for them."""
        dialect = self.dialect
        missing = self._match()
        warnings = [*self._keep_dangling(), *self.moved.warnings()]
        models = {}
        for number, mapped in enumerate(self._rows):
            self._progress(number, len(self._rows), f"comparing {mapped.label}")
            stays = mapped.label in self._referred
            only = self._stays.get(mapped.label, ())
            policy = self._policy_for(mapped)
            compare(dialect, mapped, self._rows[mapped], policy, stays=stays, only=only)
            models[mapped.label] = self._model_plan(mapped)
        warnings += [
            f"{label}, to which the selection only refers: {models[label]['insert']} rows are "
            "inserted, and live's rows stay as they are"
            for label in sorted(self._referred)
            if models[label]["insert"] or models[label]["kept"]
        ]
        return Plan(
            models=dict(sorted(models.items())),
            missing=missing,
            stale_keys=[*stale_keys(dialect, self._order)],
            warnings=warnings,
        )

    def _match(self) -> list[str]:
        if self._policy.map_users and not any(map(is_user_model, self.mapped_models)):
            raise DoesNotFit(
                "--map-user is given, but the package neither holds users nor refers to any",
                hint="Leave it out.",
            )
        matching = KeyMatching(self.dialect, self.moved)
        missing: list[str] = []
        for number, mapped in enumerate(self._order):
            self._progress(number, len(self._order), f"matching {mapped.label}")
            self.moved.add_dangling(mapped)
            matching.match(mapped)
            if is_user_model(mapped.model):
                map_users(self.dialect, mapped, self._policy)
                if self._policy.missing_users == "placeholder" and not mapped.merged:
                    make_placeholders(self.dialect, mapped)
                    matching.match(mapped)
                    map_users(self.dialect, mapped, self._policy)
            if mapped.merged:
                matching.assign_keys(mapped, self._order)
            else:
                missing += resolve_missing(self.dialect, mapped, self._order, self._policy)
            self.moved.add(mapped)
        for mapped in self._order:
            self.moved.add_dangling(mapped)
        return missing

    def _policy_for(self, mapped: MappedModel) -> Policy:
        """Return the policy, by which live's rows stay in models that are only referred to."""
        policy = self._policy
        if mapped.label in self._referred and policy.on_conflict:
            return replace(policy, on_conflict="target")
        return policy

    def _keep_dangling(self) -> Iterator[str]:
        for mapped in self._order:
            if mapped.merged and (count := keep_dangling(self.dialect, mapped, self._order)):
                yield (
                    f"{mapped.label}: the package refers to {count} rows that did not exist when "
                    "it was made; the target has other rows with these numbers, so the references "
                    "get the negative numbers, and stay dangling"
                )

    def _model_plan(self, mapped: MappedModel) -> ModelPlan:
        dialect, mapping = self.dialect, self.dialect.staged(mapped.mapping)
        counts = dict(dialect.rows(f"SELECT action, count(*) FROM {mapping} GROUP BY action"))
        pairs = [
            (p, t, dialect.quote(field.column))
            for p, t, field in zip(mapped.columns("p"), mapped.columns("t"), mapped.pk, strict=True)
        ]
        other = " OR ".join(f"{p} <> {t}" for p, t, _ in pairs)
        same = " AND ".join(f"m.{t} = l.{column}" for _, t, column in pairs)
        return ModelPlan(
            insert=counts.get("insert", 0),
            update=counts.get("update", 0),
            unchanged=counts.get("same", 0),
            kept=counts.get("keep", 0) + counts.get("mapped", 0),
            renumbered=dialect.value(
                f"SELECT count(*) FROM {mapping} WHERE action = 'insert' AND ({other})"
            ),
            only_in_target=dialect.value(
                f"SELECT count(*) FROM {dialect.quote(mapped.table)} l WHERE NOT EXISTS"
                f" (SELECT 1 FROM {mapping} m WHERE {same} AND m.action <> 'insert')"
            ),
            conflicts=[
                *conflicts(dialect, mapped, self._policy_for(mapped)),
                *mixed_groups(dialect, mapped, self._rows[mapped]),
            ],
        )

    def write(self) -> None:
        """Update and insert the rows as planned. Raises django.db errors."""
        for number, (mapped, rows) in enumerate(self._rows.items()):
            self._progress(number, len(self._rows), f"merging {mapped.label}")
            write(self.dialect, mapped, rows)

    def unequal(self) -> list[str]:
        """Return a message for each model whose merged rows are not in live as planned."""
        return [
            problem
            for mapped, rows in self._rows.items()
            for problem in unequal(self.dialect, mapped, rows)
        ]


def refusals(plan: Plan) -> list[str]:
    """Return a message for each reason to refuse the merge."""
    found = [
        f"{label}: {conflict['what']} ({conflict['rows']} rows: {_some(conflict)})"
        for label, of_model in plan["models"].items()
        for conflict in of_model["conflicts"]
        if not conflict["decided"]
    ]
    return [*found, *plan["missing"]]


def _some(conflict: Conflict) -> str:
    more = conflict["rows"] - len(conflict["examples"])
    return "; ".join(conflict["examples"]) + (f" and {more} more" if more else "")
