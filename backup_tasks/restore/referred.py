"""The models to which the selection of a restore only refers: they are compared with the package,
and not restored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.restore.contents import Selected, codecs_of
from backup_tasks.rows.dump import dump_model
from backup_tasks.rows.scope import label


def compared(selected: Selected, connection: BaseDatabaseWrapper) -> dict[str, bool]:
    """Return, by label, whether the rows of the models are those of the package. Reads all of them.
    The connection must be in a transaction."""
    installed = {label(model) for model in apps.get_models(include_auto_created=True)}
    entries = {entry.label: entry for entry in selected.whole.models if entry.label in installed}
    whole = replace(selected.whole, models=tuple(entries.values()))
    return {
        codec.label: dump_model(codec, None, lambda rows: None).digest
        == entries[codec.label].digest
        for codec in (codecs_of(whole, apps, connection) if selected.referred else ())
        if codec.label in selected.referred
    }


def unproven(selected: Selected, connection: BaseDatabaseWrapper) -> Iterator[str]:
    """Yield a warning for each of the models whose rows can't be told from others: it has no
    natural key by which the digests of what refers to it prove that they are the same, and differs
    from the package."""
    natural = {entry.label for entry in selected.whole.models if entry.identity == "natural"}
    referred = {name: why for name, why in selected.referred.items() if name not in natural}
    only = Selected(manifest=selected.manifest, added={}, referred=referred, whole=selected.whole)
    for name, equal in compared(only, connection).items():
        if not equal:
            yield (
                f"{referred[name]}, which is not restored, has no natural key, and has other rows "
                "than the package: whether the references mean the same rows is not proven"
            )


def hint(selected: Selected) -> str:
    """Return what to do where rows of the selection do not fit live's rows of the models."""
    if not selected.referred:
        return ""
    names = ", ".join(selected.referred)
    return (
        f"Rows of live may be others than when the package was made: {names}. "
        "--replace-referenced replaces these models, too."
    )
