"""What a package holds, by the parameters of its run: which models, and whether files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backup_tasks.conf import BackupSettings
from backup_tasks.errors import Misconfigured
from backup_tasks.package.facts import PackageType
from backup_tasks.rows.databases import each_database
from backup_tasks.rows.scope import Scope, full_scope, label
from backup_tasks.rows.selection import ModelFilter, Selection, refuse_dependent, selection_of


def type_of(params: Mapping[str, Any]) -> PackageType:
    """Return the type that the manifest states: "partial" if `include` or `exclude` names models,
    else the `type` that was asked for, or "full"."""
    return "partial" if ModelFilter.by(params) else params.get("type") or "full"


def holds_files(params: Mapping[str, Any]) -> bool:
    """Whether the package holds the project's files."""
    return params.get("type") != "database"


def scope_of(params: Mapping[str, Any], settings: BackupSettings) -> Selection:
    """Return what a package made with these parameters holds. Raises Misconfigured, DoesNotFit."""
    users = params.get("include_users") is not False
    asked = ModelFilter.by(params)
    if len(each_database(settings)) > 1 and (asked or not users):
        raise Misconfigured(
            "a package of several databases holds all models: what a selection needs beside it may "
            "be in another database",
            obj="BACKUP['DATABASES']",
            hint="Leave --include, --exclude and --no-include-users out; BACKUP['EXCLUDE'] leaves "
            "models out of every package.",
        )
    whole = full_scope(settings, users=users)
    if params.get("type") == "files":
        if asked:
            raise Misconfigured(
                "--include and --exclude name models, and a package of files holds none",
                hint="Leave them out, or make a package of another type.",
            )
        left = ((label(model), "the package holds files only") for model in whole.included)
        return Selection(scope=Scope(included=(), excluded=(*left, *whole.excluded)), added={})
    if not asked:
        return Selection(scope=whole, added={})
    selection = selection_of(whole, asked)
    refuse_dependent(selection, whole)
    return selection
