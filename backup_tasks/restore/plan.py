"""The dry run: says what a restore or a reset would do, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections

from backup_tasks.backup import completeness
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import Engine, engine_for, require_database
from backup_tasks.error_classification import explain
from backup_tasks.errors import ErrorRecord, KeyMissing, Misconfigured
from backup_tasks.package.names import in_database
from backup_tasks.restore import migration_compatibility, one_database, open_package, referred
from backup_tasks.restore.contents import Selected, codecs_of, expected_files, select
from backup_tasks.restore.rehearsal import refuse_unfit
from backup_tasks.restore.unapplied import refuse_unapplied
from backup_tasks.rows.databases import each_database, further_alias
from backup_tasks.rows.dump import count_rows, dump_model
from backup_tasks.rows.scope import full_scope, label
from backup_tasks.storage import last_good, workspace
from backup_tasks.storage.file_storages import project_trees

_NOT_ASKED = (DatabaseError, InterfaceError, ImproperlyConfigured, Misconfigured)
"""Raised if the database does not answer, was never migrated, or has no driver here."""


def plan_restore(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"package", "chosen", "created_at", "models": {model: {"now", "then", "equal"}},
    "files": {"now", "then"}, "migrations_to_run", "added": {model: why},
    "referred": {model: {"why", "equal"}}, "left_as_they_are",
    "warnings", "safety_backup", "undo_days", "problem"}.

    `problem` is None, or the record of the error that kept the database from being queried. The
    plan then says what the package holds; `now`, `equal` and `left_as_they_are` are None.

    Without a package in the params it is the plan of a reset. `then` is None, because the project's
    seed decides it.

    The whole package is read and checked. Raises what the restore itself would raise:
    PackageNotFound, PackageDamaged, SignatureInvalid, KeyMissing, DoesNotFit.
    """
    settings = backup_settings()
    one_database.refuse_unclear(params, settings)
    plan: dict[str, Any] = {
        "safety_backup": bool(params.get("safety", True)),
        "undo_days": settings.undo_for.days,
        "warnings": [],
    }
    files_now = sum(1 for tree in project_trees() for _ in tree.names())
    if "package" not in params:
        for each in each_database(settings):
            refuse_unapplied(each)
            refuse_unfit(full_scope(each).included, params, each)
        now = live_counts(settings)
        models = {name: {"now": count, "then": None} for name, count in now.items()}
        return plan | {"models": models, "files": {"now": files_now, "then": 0}}
    name, why = _chosen(params, settings)
    with workspace.scratch() as scratch:
        opened = open_package.fetch(name, scratch, params=params)
        manifest = open_package.check_contents(opened, scratch, params, lambda *_: None)
    if manifest is None:
        raise KeyMissing(
            "the package is encrypted, and there is no identity to open it with",
            obj=opened.name,
            hint="Name the file of the age identity with --identity.",
        )
    selected = select(manifest, params)
    manifest = selected.manifest
    older = [
        in_database(alias, name)
        for alias, part in manifest.parts.items()
        for name in migration_compatibility.missing_migrations(part)
    ]
    live, equal, problem = _compare_with_live(selected, settings, params, comparable=not older)
    then = manifest.counts
    return plan | {
        "package": opened.name,
        "chosen": why or None,
        "created_at": manifest.created_at,
        "models": {
            name: {
                "now": None if live is None else live.get(name, 0),
                "then": count,
                "equal": equal.get(name),
            }
            for name, count in then.items()
        },
        "files": {"now": files_now, "then": expected_files(manifest)},
        "migrations_to_run": older,
        "added": dict(selected.added),
        "referred": {
            name: {"why": why, "equal": equal.get(name)} for name, why in selected.referred.items()
        },
        "left_as_they_are": None if live is None else sorted(live.keys() - then.keys()),
        "warnings": [
            *completeness.warnings(manifest),
            *rows_at_stake(live or {}, then, safety=plan["safety_backup"]),
        ],
        "problem": problem,
    }


def _chosen(params: Mapping[str, Any], settings: BackupSettings) -> tuple[str, str]:
    """Return the name of the package, and why it is this one if nobody named it. Where the ledger
    can't be queried, the newest by what the stores know."""
    if params["package"]:
        return str(params["package"]), ""
    allow_unsigned, store = bool(params.get("allow_unsigned")), str(params.get("store", ""))
    try:
        require_database(settings.database)
        refuse_unapplied(settings)
        choice = last_good.find("", allow_unsigned=allow_unsigned, store=store)
        why = choice.why
    except _NOT_ASKED as error:
        choice = last_good.find_in_stores(allow_unsigned=allow_unsigned, store=store)
        why = (
            f"{choice.why}. By what the stores know: the ledger's verdicts, and whether another "
            f"installation made it, are not known ({explain(error).what})"
        )
    return choice.sidecar.name, why


def _compare_with_live(
    selected: Selected, settings: BackupSettings, params: Mapping[str, Any], *, comparable: bool
) -> tuple[dict[str, int] | None, dict[str, bool], ErrorRecord | None]:
    """Return live's counts, which models are equal, those included that are only referred to, and
    the error if the database can't be queried. Raises DoesNotFit."""
    manifest = selected.manifest
    try:
        for each in each_database(settings):
            require_database(each.database)
            refuse_unapplied(each)
        migration_compatibility.refuse_misfit(manifest, settings)
        counts: dict[str, int] = {}
        equal: dict[str, bool] = {}
        for each in each_database(settings):
            alias = further_alias(each)
            part = replace(selected, manifest=manifest.part(alias))
            refuse_unfit(migration_compatibility.models_of(part.manifest, each), params, each)
            found = _compared(part, each, comparable=comparable)
            counts |= {in_database(alias, name): count for name, count in found[0].items()}
            equal |= {in_database(alias, name): same for name, same in found[1].items()}
        return counts, equal, None
    except _NOT_ASKED as error:
        return None, {}, explain(error).record()


def rows_at_stake(
    now: Mapping[str, int], then: Mapping[str, int], *, safety: bool = True
) -> Iterator[str]:
    """Yield a warning that names the models with more rows in live than in the package."""
    more = {name: now.get(name, 0) - count for name, count in then.items()}
    if told := ", ".join(f"{name} {count:+,}" for name, count in sorted(more.items()) if count > 0):
        kept = "the safety backup will hold them" if safety else "no safety backup will hold them"
        yield f"live has rows that the package has not: {told}. They are replaced; {kept}"


def live_counts(settings: BackupSettings) -> dict[str, int]:
    """Return how many rows each model has, counted in one snapshot of each database."""
    counts: dict[str, int] = {}
    for each in each_database(settings):
        with (engine := engine_for(each.database)).snapshot():
            found = _count(engine, each)
        counts |= {in_database(further_alias(each), name): count for name, count in found.items()}
    return counts


def _count(engine: Engine, settings: BackupSettings) -> dict[str, int]:
    connection = connections[settings.database]
    models = full_scope(settings).included
    engine.refuse_hidden_rows([model._meta.db_table for model in models])
    return {label(model): count_rows(connection, model._meta.db_table) for model in models}


def _compared(
    selected: Selected, settings: BackupSettings, *, comparable: bool
) -> tuple[dict[str, int], dict[str, bool]]:
    """Return live's counts, and for each model whether its digest is the package's: a digest also
    shows rows that were updated."""
    with (engine := engine_for(settings.database)).snapshot():
        connection = connections[settings.database]
        counts = _count(engine, settings)
        if not comparable:
            return counts, {}
        manifest = selected.manifest
        codecs = codecs_of(manifest, apps, connection)
        equal = {
            entry.label: dump_model(codec, None, lambda rows: None).digest == entry.digest
            for codec, entry in zip(codecs, manifest.models, strict=True)
        }
        return counts, equal | referred.compared(selected, connection)
