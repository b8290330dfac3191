"""A restore of one database of several: the rows of the others, and the files, stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.errors import BackupError, DoesNotFit, Misconfigured
from backup_tasks.package.manifest import Contents, Manifest
from backup_tasks.rows.databases import each_database


def refuse_unclear(params: Mapping[str, Any], settings: BackupSettings) -> None:
    """Raise Misconfigured for a restore that can't be done with several databases, before anything
    is read: of a database that is not backed up, of files with one, and a selection or a merge of
    all of them."""
    aliases = [each.database for each in each_database(settings)]
    if problem := _unknown(params, aliases) or _problem(params, aliases):
        raise problem


def only(manifest: Manifest, params: Mapping[str, Any]) -> Manifest:
    """Reduce the manifest to the database that the params name, if they name one.

    Raises DoesNotFit if the package does not hold it, and what `refuse_unclear` raises.
    """
    name, first = params.get("database"), manifest.database.get("alias")
    aliases = [first or backup_settings().database, *manifest.databases]
    if problem := _problem(params, aliases):
        raise problem
    if not name:
        return manifest
    if name not in aliases:
        raise DoesNotFit(
            f"the package holds no database {name}",
            obj=f"package {manifest.id}",
            hint=f"It holds: {', '.join(aliases)}.",
        )
    reduced = manifest if name == aliases[0] else without_rows(manifest)
    kept = {
        alias: contents if alias == name else _emptied(contents)
        for alias, contents in manifest.databases.items()
    }
    return replace(reduced, databases=kept)


def without_rows(manifest: Manifest) -> Manifest:
    """Return the manifest without the rows of any of its databases."""
    none = {alias: _emptied(contents) for alias, contents in manifest.databases.items()}
    return replace(manifest, models=(), counters={}, sums={}, sequences=(), databases=none)


def _emptied(contents: Contents) -> Contents:
    return Contents(**{**contents, "models": (), "counters": {}, "sums": {}, "sequences": ()})


def _unknown(params: Mapping[str, Any], aliases: Sequence[str]) -> BackupError | None:
    name = params.get("database")
    if not name or name in aliases:
        return None
    return Misconfigured(
        f"database {name} is none of those that are backed up",
        obj="BACKUP['DATABASES']",
        hint=f"They are: {', '.join(aliases)}.",
    )


def _problem(params: Mapping[str, Any], aliases: Sequence[str]) -> BackupError | None:
    name = params.get("database")
    if name and params.get("type") != "database":
        return Misconfigured(
            "--database restores the rows of one database, and files belong to all of them",
            obj=f"database {name}",
            hint="Say --type database too. --type files restores the files.",
        )
    if len(aliases) > 1 and params.get("objects"):
        return Misconfigured(
            "single objects of a package of several databases can't be merged",
            obj="BACKUP['DATABASES']",
            hint=f"--database {aliases[0]} --type database merges the rows of that one.",
        )
    if len(aliases) == 1 or name == aliases[0]:
        return None
    for what, asked in (
        ("a merge", params.get("mode") == "merge"),
        ("a selection of models", params.get("include") or params.get("exclude")),
    ):
        if asked:
            other = f"{what} of database {name}" if name else f"{what} of several databases at once"
            return Misconfigured(
                f"{other} is not possible: it is of {aliases[0]}, with the ledger, alone",
                obj="BACKUP['DATABASES']",
                hint=f"--database {aliases[0]} --type database does it there. Another database is "
                "restored as a whole: --database ALIAS --type database.",
            )
    return None
