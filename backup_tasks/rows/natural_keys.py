"""Natural keys as lists of field paths, so that the database resolves them with JOINs.

A model declares its natural key once, and gets all that Django's serializers need:

    class Document(NaturalKeyModel):
        natural_key_fields = ("document_number",)

    class DocumentVersion(NaturalKeyModel):
        natural_key_fields = ("document", "version")    # "document" stands for Document's own key

`identity_of` looks for the key of any model, in this order: the mixin's `natural_key_fields`;
`settings.BACKUP["NATURAL_KEYS"]`; the model's own `natural_key()` and `get_by_natural_key()`,
traced to the fields that they use (this finds the keys of Django's contrib models); a total unique
constraint of non-null fields. A model with none of these has its primary key as identity.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, cast

from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models
from django.db.models.base import ModelState

from backup_tasks.errors import Misconfigured
from backup_tasks.rows.column_groups import grouped_columns

Paths = tuple[str, ...]
Model = type[models.Model]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What identifies the rows of a model."""

    paths: Paths = ()
    """Field paths that follow foreign keys to plain values. Empty: the primary key."""
    source: str = "primary key"
    """Where the key was found: natural_key_fields, settings, natural_key(), unique constraint."""
    loadable: bool = False
    """Whether Django's `loaddata` finds rows by it: the default manager has
    `get_by_natural_key`."""


class NaturalKeyManager(models.Manager[Any]):
    """A default manager that finds a row by its natural key. Derive managers from it."""

    def get_by_natural_key(self, *key: object) -> Any:
        """Return the row; raises DoesNotExist. One value per path of the key."""
        paths = declared_paths(self.model)
        return self.get(**dict(zip(paths, key, strict=True)))


class _NaturalKeyMethod:
    """`natural_key` with `dependencies` of its own per class, by which `dumpdata` sorts models."""

    def __get__(self, instance: models.Model | None, owner: Model) -> Callable[..., Any]:
        def natural_key(of: models.Model | None = instance) -> tuple[Any, ...]:
            if of is None:
                raise TypeError("natural_key() needs an instance")
            return tuple(_follow(of, path) for path in declared_paths(owner))

        natural_key.dependencies = sorted(_models_on(owner))  # type: ignore[attr-defined]  # Django's protocol
        return natural_key


class NaturalKeyModel(models.Model):
    """A model whose rows are identified by `natural_key_fields`, never by the primary key."""

    natural_key_fields: ClassVar[Sequence[str]] = ()
    objects = NaturalKeyManager()
    natural_key = _NaturalKeyMethod()

    class Meta:
        abstract = True


def declared_paths(model: Model) -> Paths:
    """Return the paths of a model that declares `natural_key_fields`."""
    declared = getattr(model, "natural_key_fields", ())
    if not declared:
        raise Misconfigured(
            "natural_key_fields is empty",
            obj=model._meta.label,
            hint="Name the fields that tell its rows apart, other than the primary key.",
        )
    return _expand(model, declared, {}, (model,))


def identity_of(model: Model, configured: Mapping[str, Sequence[str]]) -> Identity:
    """Return what identifies the rows of `model`. `configured` is the setting NATURAL_KEYS."""
    return _identity(model, {label.lower(): key for label, key in configured.items()}, ())


def _identity(
    model: Model, configured: Mapping[str, Sequence[str]], seen: Sequence[Model]
) -> Identity:
    if model in seen:
        return Identity()
    within = (*seen, model)
    loadable = hasattr(model, "natural_key") and hasattr(
        model._default_manager, "get_by_natural_key"
    )
    if declared := getattr(model, "natural_key_fields", ()):
        keys = _expand(model, declared, configured, within)
        return Identity(paths=keys, source="natural_key_fields", loadable=loadable)
    if declared := configured.get(model._meta.label_lower, ()):
        return Identity(paths=_expand(model, declared, configured, within), source="settings")
    if loadable and (paths := _traced_paths(model)):
        return Identity(paths=paths, source="natural_key()", loadable=True)
    for names in _unique_constraints(model):
        if paths := _expand_if_natural(model, names, configured, within):
            return Identity(paths=paths, source="unique constraint")
    return Identity()


def _expand(
    model: Model,
    declared: Sequence[str],
    configured: Mapping[str, Sequence[str]],
    seen: Sequence[Model],
) -> Paths:
    """Return the paths with foreign keys followed to plain values. Raises Misconfigured."""
    paths = _expand_if_natural(model, declared, configured, seen)
    if paths is None:
        raise Misconfigured(
            f"the natural key {', '.join(declared)} leads to a field that does not exist, to "
            "itself, or to a model without a natural key",
            obj=model._meta.label,
            hint="Give the model that it refers to a natural key, or name other fields.",
        )
    return paths


def _expand_if_natural(
    model: Model,
    names: Sequence[str],
    configured: Mapping[str, Sequence[str]],
    seen: Sequence[Model],
) -> Paths | None:
    paths: list[str] = []
    for name in names:
        try:
            field = _field_at(model, name)
        except FieldDoesNotExist:
            return None
        if not field.is_relation:
            paths.append(name)
            continue
        target = _identity(cast(Model, field.related_model), configured, seen)
        if not target.paths:
            return None
        paths += [f"{name}__{path}" for path in target.paths]
    return tuple(paths)


def _field_at(model: Model, path: str) -> models.Field[Any, Any]:
    *through, last = path.split("__")
    for name in through:
        model = cast(Model, model._meta.get_field(name).related_model)
    field = model._meta.get_field(last)
    if not isinstance(field, models.Field) or not field.concrete or field.many_to_many:
        raise FieldDoesNotExist(path)
    return field


def _models_on(model: Model) -> Iterator[str]:
    """Yield the labels of the other models through which the paths of the natural key lead."""
    for path in {path.rpartition("__")[0] for path in declared_paths(model)}:
        at = model
        for name in filter(None, path.split("__")):
            at = cast(Model, at._meta.get_field(name).related_model)
            if at is not model:
                yield at._meta.label_lower


def _follow(instance: models.Model, path: str) -> Any:
    value: Any = instance
    for name in path.split("__"):
        value = getattr(value, name) if value is not None else None
    return value


def _unique_constraints(model: Model) -> list[Paths]:
    """Return the unique sets of non-null fields that hold for all rows. Sets with a UUID come last,
    since another database may have another UUID for the same object. Columns that say something
    only together with those of other rows, such as the path in a tree, identify no row."""
    meta = model._meta
    found: list[Paths] = [
        (field.name,)
        for field in meta.local_concrete_fields
        if field.unique and not field.primary_key
    ]
    found += [tuple(names) for names in meta.unique_together]
    found += [
        tuple(constraint.fields)
        for constraint in meta.total_unique_constraints
        if not constraint.deferrable and constraint.nulls_distinct is None
    ]
    local = {field.name: field for field in meta.local_concrete_fields}

    positions = grouped_columns(model)

    def is_identifying(names: Paths) -> bool:
        return positions.isdisjoint(names) and all(
            name in local and not local[name].null for name in names
        )

    def is_random(names: Paths) -> bool:
        return any(isinstance(local[name], models.UUIDField) for name in names)

    return sorted(filter(is_identifying, found), key=is_random)


def is_unique_by_constraint(model: Model, paths: Paths, proven: Collection[Model]) -> bool:
    """Whether the database itself keeps the natural key unique, given models whose keys are.

    A constraint on (document, version) proves (document__number, version), since a document's key
    leads to one document only.
    """
    roots = {path.partition("__")[0] for path in paths}
    for names in _unique_constraints(model):
        targets = [
            model._meta.get_field(name).related_model
            for name in names
            if model._meta.get_field(name).is_relation
        ]
        if roots.issuperset(names) and all(target in proven for target in targets):
            return True
    return model._meta.pk.name in paths


class _TracedValue(str):
    """A field's value, for tracing: it knows the path of the field."""

    __slots__ = ("path",)
    path: str

    def __str__(self) -> str:
        return self


def _traced_instance(model: Model, prefix: str, depth: int) -> models.Model:
    # Calling the model would run the project's defaults and signal handlers, which may write.
    instance = model.__new__(model)
    instance._state = ModelState()
    for field in model._meta.concrete_fields:
        traced = _TracedValue(f"mark of {prefix}{field.name}")
        traced.path = f"{prefix}{field.name}"
        instance.__dict__[field.attname] = traced
        if field.is_relation and depth:
            target = _traced_instance(
                cast(Model, field.related_model), f"{prefix}{field.name}__", depth - 1
            )
            instance._state.fields_cache[field.name] = target
    return instance


@contextmanager
def _no_queries() -> Iterator[None]:
    """Make every query raise before it reaches the database. A query that fails there would break
    the transaction."""

    def refuse(*_: object) -> NoReturn:
        raise RuntimeError("a natural key that asks the database can't be traced")

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(refuse))
        yield


def _traced_paths(model: Model) -> Paths | None:
    """Return the paths of the fields whose values a model's own `natural_key()` returns.

    The method is called on an instance whose fields hold traced values. The result is None if the
    method computes something else from them, returns the raw value of a foreign key, or raises: the
    database can't read such a key for many rows, and it may not be unique (EVIDENCE.md T20).
    """
    try:
        with _no_queries():
            key = _traced_instance(model, "", depth=3).natural_key()  # type: ignore[attr-defined]  # the caller looked
        parts = list(key)
        paths = tuple(part.path for part in parts)
        plain = all(not _field_at(model, path).is_relation for path in paths)
    except Exception:  # noqa: BLE001  # the project's code may raise anything
        return None
    return paths if plain and paths and paths != (model._meta.pk.name,) else None
