"""A part of the models: what was asked for by name, and what that needs beside it.

Asked for are apps and models to include or to exclude; a model brings along

- the models that its foreign keys refer to, content types among them,
- the tables of its many-to-many fields,
- with multi-table inheritance its parents and children: an object's rows stand or fall together.

What is excluded by name stays out. A package without it can't stand alone if an included row must
refer to it; a restore leaves such references to live's rows, and proves that they are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.apps import apps

from backup_tasks.errors import DoesNotFit, Misconfigured
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import Scope, by_dependency, label, names_of, target_of


@dataclass(frozen=True, kw_only=True)
class ModelFilter:
    """Which part of the models was asked for: app labels, or app.Model. Nothing named: all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def by(cls, params: Mapping[str, Any]) -> ModelFilter:
        """Return what a run's parameters `include` and `exclude` ask for."""
        return cls(
            include=tuple(params.get("include") or ()), exclude=tuple(params.get("exclude") or ())
        )

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A part of a scope."""

    scope: Scope
    """What else the whole holds is excluded, with the option as the reason."""
    added: Mapping[str, str]
    """Label of each model that was not named → what needs it."""


def selection_of(whole: Scope, model_filter: ModelFilter) -> Selection:
    """Return the part that was asked for, with all that it needs.

    Raises Misconfigured for a name that is unknown, or that leaves nothing; DoesNotFit, naming the
    models, for one half of an object.
    """
    dropped = _models_named(model_filter.exclude, "--exclude", whole)
    chosen = (
        _models_named(model_filter.include, "--include", whole)
        if model_filter.include
        else set(whole.included)
    )
    queue = sorted(chosen - dropped, key=label)
    taken, added = set(queue), dict[str, str]()
    while queue:
        model = queue.pop(0)
        for other, why, inseparable in _required_models(model, whole.included):
            if other in dropped and inseparable:
                raise DoesNotFit(
                    f"{why}: their rows are halves of the same objects",
                    obj=label(model),
                    hint=f"Exclude both, or neither: {label(other)} can't be left out alone.",
                )
            if other not in taken | dropped and other in whole.included:
                taken.add(other)
                added[label(other)] = why
                queue.append(other)
    if not taken:
        raise Misconfigured("--include and --exclude leave no model", hint="Name other ones.")
    left = [
        (label(model), f"left out by {'--exclude' if model in dropped else '--include'}")
        for model in whole.included
        if model not in taken
    ]
    scope = Scope(
        included=tuple(by_dependency(list(taken))),
        excluded=tuple(sorted((*whole.excluded, *left))),
    )
    return Selection(scope=scope, added=added)


def refuse_dependent(selection: Selection, whole: Scope) -> None:
    """Raise DoesNotFit, naming the fields, if rows of the part can't be without rows that were left
    out: a package of it would not stand alone."""
    left = set(whole.included) - set(selection.scope.included)
    fields = [
        f"{label(model)}.{field.name} ({label(target)})"
        for model in selection.scope.included
        for field in model._meta.local_concrete_fields
        if not field.null and (target := target_of(field)) in left and target
    ]
    if fields:
        raise DoesNotFit(
            "what was excluded is needed: every row refers to a row of it, by " + ", ".join(fields),
            hint="Include these models, or exclude those that refer to them as well. A restore can "
            "leave them out, where live has the rows.",
        )


def _models_named(names: Sequence[str], option: str, whole: Scope) -> set[Model]:
    """Return the models of the whole that the names mean. One that means none is refused."""
    found: set[Model] = set()
    for name in names:
        models = {model for model in whole.included if name.lower() in names_of(model)}
        if not models:
            raise Misconfigured(
                f"{option} {name} names no model that is there to choose from"
                f"{_excluded_because(name, whole)}",
                hint="Names are app labels (“auth”) or app.Model (“auth.Permission”).",
            )
        found |= models
    return found


def _excluded_because(name: str, whole: Scope) -> str:
    reasons = dict(whole.excluded)
    for model in apps.get_models(include_auto_created=True, include_swapped=True):
        if name.lower() in names_of(model) and label(model) in reasons:
            return f": {label(model)} is {reasons[label(model)]}"
    return ""


def _required_models(model: Model, known: Collection[Model]) -> Iterator[tuple[Model, str, bool]]:
    """Yield what a model needs beside it, why, and whether the two are halves of one object."""
    parents = set(model._meta.get_parent_list())
    for field in model._meta.local_concrete_fields:
        if target := target_of(field):
            why = f"{label(model)}.{field.name} refers to {label(target)}"
            is_parent = target in parents
            yield (
                target,
                f"{label(model)} extends {label(target)}" if is_parent else why,
                is_parent,
            )
    for many in model._meta.local_many_to_many:
        through = cast(Model, many.remote_field.through)
        yield through, f"{label(model)}.{many.name} is kept in {label(through)}", False
    for other in known:
        if model in other._meta.get_parent_list():
            yield other, f"{label(other)} extends {label(model)}", True
