"""Checks of what the settings name: models, fields and functions; and of the models themselves."""

from __future__ import annotations

import sys
from argparse import ArgumentError, ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence

from django.core.checks import CheckMessage, Error, Info, Warning
from django.utils.module_loading import import_string

from backup_tasks.checks.settings import with_sound_settings
from backup_tasks.conf import BackupSettings
from backup_tasks.errors import Misconfigured
from backup_tasks.rows.column_groups import column_groups
from backup_tasks.rows.databases import lives_in, other_aliases
from backup_tasks.rows.installed import backed_up_anywhere, candidates, installed_models
from backup_tasks.rows.key_columns import key_columns
from backup_tasks.rows.natural_keys import Model, identity_of
from backup_tasks.rows.scope import label

_NAMED = 3


@with_sound_settings
def check_names(settings: BackupSettings) -> Iterator[CheckMessage]:
    """E005, E006: names of models, fields and apps that do not exist."""
    installed = {label(model): model for model in installed_models()}
    for name, key in settings.natural_keys.items():
        model = installed.get(name.lower())
        problem = "names a model that is not installed"
        hint = "Names are app.Model, as in “documents.Document”."
        if model is not None:
            try:
                if identity_of(model, settings.natural_keys).source != "settings":
                    yield Warning(
                        f"BACKUP['NATURAL_KEYS']: {name} has natural_key_fields of its own, so the "
                        "setting has no effect",
                        hint="Leave it out, or change natural_key_fields of the model.",
                        id="backup_tasks.W005",
                    )
                continue
            except Misconfigured as error:
                problem, hint = error.what, error.hint
        yield Error(
            f"BACKUP['NATURAL_KEYS']: {name} ({', '.join(key)}) {problem}",
            hint=hint,
            id="backup_tasks.E005",
        )
    yield from _unknown_columns(settings, installed)
    known = {model._meta.app_label for model in installed_models()} | set(installed)
    for name in settings.exclude:
        if name.lower() not in known:
            yield Error(
                f"BACKUP['EXCLUDE'] names no installed app or model: {name!r}",
                hint="Names are app labels (“auth”) or app.Model (“auth.Permission”).",
                id="backup_tasks.E006",
            )


def _unknown_columns(
    settings: BackupSettings, installed: Mapping[str, Model]
) -> Iterator[CheckMessage]:
    named: list[tuple[str, str, Callable[[Model], object]]] = [
        *(("COLUMN_GROUPS", name, column_groups) for name in settings.column_groups),
        *(("KEY_COLUMNS", path.rpartition(".")[0], key_columns) for path in settings.key_columns),
    ]
    for key, name, found_in in named:
        problem, hint = "names a model that is not installed", "Names are app.Model."
        if model := installed.get(name.lower()):
            try:
                found_in(model)
                continue
            except Misconfigured as error:
                problem, hint = error.what, error.hint
        yield Error(f"BACKUP['{key}']: {name}: {problem}", hint=hint, id="backup_tasks.E005")


@with_sound_settings
def check_hooks(settings: BackupSettings) -> Iterator[CheckMessage]:
    """E007: functions that can't be imported or called."""
    named = [("SEED", settings.seed)] if settings.seed else []
    for key, path in [*named, *(("CHECKS", path) for path in settings.checks)]:
        try:
            problem = "" if callable(import_string(path)) else "is not a function"
        except ImportError as error:
            problem = f"can't be imported: {error}"
        if problem:
            yield Error(
                f"BACKUP['{key}']: {path} {problem}",
                hint="It is the dotted path of a function that takes a database alias.",
                id="backup_tasks.E007",
            )


@with_sound_settings
def check_other_databases(settings: BackupSettings) -> Iterator[CheckMessage]:
    """W004: databases that are not backed up, and which models may have rows there."""
    models = [*candidates(settings)]
    for alias in other_aliases(settings):
        if names := sorted(model._meta.label for model in models if lives_in(alias, model)):
            yield Warning(
                f"database {alias} is in no package, and models may have rows there: "
                f"{_listed(names)}",
                hint="Back it up by other means, then name its models in BACKUP['EXCLUDE']. Which "
                "models have tables there, a router says (allow_migrate); that it is a replica, "
                'TEST = {"MIRROR": …} in DATABASES.',
                id="backup_tasks.W004",
            )


@with_sound_settings
def check_natural_keys(settings: BackupSettings) -> Iterator[CheckMessage]:
    """I001. Django's own models are left out: the log of the admin has no key, in any project."""
    without = []
    configured = {name.lower() for name in (*settings.natural_keys, *settings.column_groups)}
    for model in backed_up_anywhere(settings):
        try:
            found = identity_of(model, settings.natural_keys)
        except Misconfigured as error:
            if label(model) not in configured:  # or check_names has told
                yield Error(error.what, hint=error.hint, obj=model, id="backup_tasks.E005")
            continue
        if not found.paths and not model.__module__.startswith("django."):
            without.append(model._meta.label)
    if without:
        yield Info(
            f"models without a natural key keep their primary key: {_listed(sorted(without))}",
            hint="An exact restore keeps them as they are. For a merge, name the fields that tell "
            "their rows apart in BACKUP['NATURAL_KEYS'].",
            id="backup_tasks.I001",
        )


def _listed(names: Sequence[str]) -> str:
    """Return the names, or some of them: every command prints them, and not all want all."""
    if len(names) <= _NAMED or _verbosity(sys.argv) > 1:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more (all with -v 2)"


def _verbosity(arguments: Sequence[str]) -> int:
    """Return the verbosity that a command was given. Django does not tell it to the checks."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-v", "--verbosity", type=int, default=1)
    try:
        return int(parser.parse_known_args(arguments)[0].verbosity)
    except ArgumentError:
        return 1  # the command says so itself
