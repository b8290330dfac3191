"""The selection: the models that `--include` and `--exclude` name, and the closure of those.

The options name apps and models. The closure of a model adds

- the models that its foreign keys refer to, content types among them, and those whose primary keys
  its key columns hold if a setting or the model says whose (`rows.key_columns`),
- the tables of its many-to-many fields,
- with multi-table inheritance its parents and children, since their rows make one object.

A package of a selection holds the whole closure, so that it can be restored alone. A restore leaves
out the models that are only referred to, by foreign keys or key columns: their rows in live may be
newer. It restores them too if the operator says so.

A model that is excluded by name stays out of the closure. If rows of the selection must refer to
it, no package is made of the selection. A restore proves that live has the rows that are referred
to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, cast

from django.apps import apps

from backup_tasks.errors import DoesNotFit, Misconfigured
from backup_tasks.rows.key_columns import key_columns
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import Scope, by_dependency, label, names_of, target_of


@dataclass(frozen=True, kw_only=True)
class ModelFilter:
    """The app labels and app.Model names of the options. Without any, all models are selected."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def by(cls, params: Mapping[str, Any]) -> ModelFilter:
        """Return the filter that a run's parameters `include` and `exclude` make."""
        return cls(
            include=tuple(params.get("include") or ()), exclude=tuple(params.get("exclude") or ())
        )

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Some models of a scope."""

    scope: Scope
    """The selected models are included. The others are excluded, with the option as the reason."""
    added: Mapping[str, str]
    """Label of each model that the closure added → why it is needed."""
    referred: Mapping[str, str] = field(default_factory=dict)
    """Label of each other model of the scope that selected rows refer to → by what."""


def selection_of(
    whole: Scope, model_filter: ModelFilter, *, with_referred: bool = True
) -> Selection:
    """Return the models that the filter selects, with their closure. `with_referred=False` leaves
    out those that are only referred to.

    Raises Misconfigured for an unknown name, or if no model is left; DoesNotFit, which names the
    models, if a parent or child of multi-table inheritance is excluded alone.
    """
    dropped = _models_named(model_filter.exclude, "--exclude", whole)
    chosen = (
        _models_named(model_filter.include, "--include", whole)
        if model_filter.include
        else set(whole.included)
    )
    queue = sorted(chosen - dropped, key=label)
    taken, added, referred = set(queue), dict[str, str](), dict[str, str]()
    while queue:
        model = queue.pop(0)
        for other, why, bond in _required_models(model, whole.included):
            if other in dropped and bond is _Bond.SAME_OBJECT:
                raise DoesNotFit(
                    f"{why}: their rows are halves of the same objects",
                    obj=label(model),
                    hint=f"Exclude both, or neither: {label(other)} can't be left out alone.",
                )
            if other in taken | dropped or other not in whole.included:
                continue
            if bond is _Bond.REFERRED and not with_referred:
                referred.setdefault(label(other), why)
            else:
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
    return Selection(
        scope=scope,
        added=added,
        referred={name: why for name, why in referred.items() if name not in added},
    )


def refuse_dependent(selection: Selection, whole: Scope) -> None:
    """Raise DoesNotFit, which names the fields, if rows of the selection must refer to rows outside
    of it: a package of the selection could not be restored alone."""
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
    """Return the models that the names select. Raises Misconfigured for a name that selects
    none."""
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


class _Bond(Enum):
    """How a model needs another one."""

    SAME_OBJECT = auto()
    OWN_TABLE = auto()
    REFERRED = auto()


def _required_models(model: Model, known: Collection[Model]) -> Iterator[tuple[Model, str, _Bond]]:
    """Yield each model that the model needs, why, and how."""
    parents = set(model._meta.get_parent_list())
    for reference in model._meta.local_concrete_fields:
        if target := target_of(reference):
            why = f"{label(model)}.{reference.name} refers to {label(target)}"
            if target in parents:
                yield target, f"{label(model)} extends {label(target)}", _Bond.SAME_OBJECT
            else:
                yield target, why, _Bond.REFERRED
    for column in key_columns(model).values():
        if column.target is not None:
            held = f"{label(model)}.{column.field.name} holds primary keys of"
            yield column.target, f"{held} {label(column.target)}", _Bond.REFERRED
    for many in model._meta.local_many_to_many:
        through = cast(Model, many.remote_field.through)
        yield through, f"{label(model)}.{many.name} is kept in {label(through)}", _Bond.OWN_TABLE
    for other in known:
        if model in other._meta.get_parent_list():
            yield other, f"{label(other)} extends {label(model)}", _Bond.SAME_OBJECT
