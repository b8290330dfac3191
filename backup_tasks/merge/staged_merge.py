"""Merges the rows and files that a run has in staging into live, or rehearses that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import DataError, IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.utils.module_loading import import_string

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import DoesNotFit, ValidationFailed
from backup_tasks.merge import proof
from backup_tasks.merge.dialect import Dialect, dialect_of
from backup_tasks.merge.mapped_models import Identities
from backup_tasks.merge.merge import Merge, refusals
from backup_tasks.merge.policy import Policy
from backup_tasks.merge.referenced_keys import is_named
from backup_tasks.package.manifest import Manifest
from backup_tasks.progress import Progress
from backup_tasks.restore import file_swap, migration_compatibility
from backup_tasks.restore.contents import (
    entries_of,
    identities_of,
    line_format_of,
    models_referred_to,
    unpacked_selection,
)
from backup_tasks.restore.run_folder import RunFolder
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.natural_keys import Model, identity_of
from backup_tasks.storage.file_storages import project_trees


class StagedMerge:
    """The merge of one run's staging into live."""

    def __init__(
        self, run_id: str, folder: Path, params: Mapping[str, Any], progress: Progress
    ) -> None:
        self._run_id, self._folder, self._progress = run_id, folder, progress
        self._settings = backup_settings()
        self._policy = Policy.of(params)
        selected = unpacked_selection(folder, params)
        self._manifest, self._referred = selected.manifest, selected.referred
        self._stays = selected.stays
        self._engine = engine_for(self._settings.database)
        self._schema = self._engine.schema_name("staging", run_id)
        self._older = bool(migration_compatibility.missing_migrations(self._manifest))
        self._models = migration_compatibility.models_of(self._manifest, self._settings)
        self._identities = _identities(self._manifest, self._models, older=self._older)
        self.trees = project_trees() if self._manifest.files is not None else []

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        """What the alias leads to: during the merge, the connection of its transaction."""
        return connections[self._settings.database]

    @property
    def tables(self) -> list[str]:
        """The tables of live to which rows are written."""
        return sorted(model._meta.db_table for model in self._models)

    def rehearse(self, folders: Sequence[RunFolder]) -> dict[str, Any]:
        """Return the plan, and why it would be refused. Live is read and not changed."""
        with self._engine.merge_transaction(self._schema, writing=None) as staging:
            plan = self._new_merge(staging).plan()
            transaction.set_rollback(True, using=self._engine.alias)
        files = self._plan_files(folders)
        return {**plan, "files": files, "refused": [*refusals(plan), *_file_refusals(files)]}

    def merge(
        self,
        folders: Sequence[RunFolder],
        record: Callable[[dict[str, Any]], None],
        certain: Callable[[], None],
    ) -> dict[str, Any]:
        """Merge and prove in one transaction; return the plan and the proof.

        `record` is called with the result before the commit. `folders` are the run's, of `trees`;
        for `certain`, see `file_swap.adding_files`. Raises DoesNotFit for what the policy does not
        decide, ValidationFailed if the proof fails. After an error live is unchanged.
        """
        files = self._plan_files(folders)
        with (
            file_swap.adding_files(folders, certain),
            _constraint_errors_explained(self._manifest),
            self._engine.merge_transaction(self._schema, writing=self.tables) as staging,
        ):
            merge = self._new_merge(staging)
            before = proof.dangling_in(self._connection, self._models)
            plan = merge.plan()
            _refuse([*refusals(plan), *_file_refusals(files)], self._manifest)
            merge.write()
            self._engine.advance_sequences(self._models)
            self._engine.advance_free_sequences("", self._manifest.sequences)
            result = {**plan, "files": files, "refused": []}
            result["digests_equal"] = self._prove(merge, before)
            record(result)
        return result

    def _new_merge(self, staging: str) -> Merge:
        dialect = dialect_of(self._connection, staging)
        self._refuse_other_migrations(dialect)
        return Merge(
            dialect,
            merged=self._models,
            outside=[
                model
                for model in models_referred_to(self._models, self._settings.database)
                if is_named(model, self._identities) and not self._older
            ],
            identities=self._identities,
            policy=self._policy,
            progress=self._progress,
            referred=self._referred,
            stays=self._stays,
        )

    def _refuse_other_migrations(self, dialect: Dialect) -> None:
        """Raise DoesNotFit unless the tables of staging and live are at the same migrations."""
        labels = {model._meta.app_label for model in self._models}
        live = set(MigrationRecorder(self._connection).applied_migrations())
        record = dialect.staged("django_migrations")
        staged = dialect.rows(f"SELECT app, name FROM {record}")  # a constant name
        other = sorted(key for key in live ^ set(staged) if key[0] in labels)
        if other:
            raise DoesNotFit(
                "live and the package are at other migrations: "
                + ", ".join(".".join(key) for key in other),
                obj=f"package {self._manifest.id}",
                hint="Bring live up to date first: manage.py migrate.",
            )

    def _prove(self, merge: Merge, before: proof.Dangling) -> dict[str, bool | None]:
        """Raise ValidationFailed unless every row of the package is in live as it should be."""
        proof.check_constraints(self._connection)
        problems = merge.unequal()
        after = proof.dangling_in(self._connection, self._models)
        known = {entry.label: entry.dangling for entry in self._manifest.models}
        problems += proof.more_dangling(before, after, known)
        equal: dict[str, bool | None] = {}
        if not self._older:  # migrations have changed an older package's rows since its manifest
            codecs = [
                RowCodec(
                    model,
                    self._identities,
                    self._connection,
                    line_format=line_format_of(self._manifest),
                )
                for model in self._models
            ]
            equal, other = proof.digests_equal(
                merge.dialect, codecs, self._manifest.models, merge.mapped_models, merge.moved
            )
            problems += other
        for path in self._settings.checks if self._models else ():
            found: Sequence[str] = import_string(path)(self._settings.database)
            problems += [f"{path}: {problem}" for problem in found]
        if problems:
            raise ValidationFailed(
                "; ".join(problems),
                obj=f"run {self._run_id}",
                hint="The merge was rolled back. Live data was not touched.",
            )
        return equal

    def _plan_files(self, folders: Sequence[RunFolder]) -> dict[str, Any]:
        figures: dict[str, Any] = {"add": 0, "replace": 0, "kept": 0, "conflicts": []}
        for folder in folders:
            wanted = entries_of(self._folder, self._manifest, folder.tree.alias)
            replace = self._policy.on_conflict != "target"
            found = file_swap.make_merge_plan(folder, wanted, replace=replace)
            for name in ("add", "replace", "kept"):
                figures[name] += found[name]
            figures["conflicts"] += found["conflicts"]
        figures["decided"] = self._policy.on_conflict
        return figures


def _identities(manifest: Manifest, models: Sequence[Model], *, older: bool) -> Identities:
    if not older:
        return identities_of(manifest, apps, backup_settings().database)
    settings = backup_settings()
    every = [*models, *models_referred_to(models, settings.database)]
    return {model: identity_of(model, settings.natural_keys) for model in every}


def _file_refusals(files: Mapping[str, Any]) -> list[str]:
    if files["decided"] or not files["replace"]:
        return []
    names = "; ".join(files["conflicts"])
    return [f"files: the same name, other content ({files['replace']}: {names})"]


def _refuse(found: Sequence[str], manifest: Manifest) -> None:
    if found:
        raise DoesNotFit(
            "; ".join(found),
            obj=f"package {manifest.id}",
            hint="Decide conflicts with --on-conflict package or target; missing users with "
            "--map-user OLD=NEW or --missing-users null or placeholder. --dry-run shows the plan. "
            "Live data was not touched.",
        )


@contextmanager
def _constraint_errors_explained(manifest: Manifest) -> Iterator[None]:
    """Raise DoesNotFit, with a hint, for a row that the database refuses."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise DoesNotFit(
            f"a row of the package breaks a constraint of live: {error}",
            obj=f"package {manifest.id}",
            hint="Live data was not touched. Change or remove the row of live that is in the way.",
        ) from error
