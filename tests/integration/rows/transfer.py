"""Transfers every awkward row from one database to another, through a package and the real
steps."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.test import override_settings

from backup_tasks.models import Run
from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.reader import unpack
from backup_tasks.runs import chains
from backup_tasks.runs.foreground import run_here
from tests.services import Project, as_default_database
from tests.testapp.models import Absent
from tests.testapp.zoo import rows_of

Row = dict[str, Any]


class Silent:
    """A watcher that says nothing."""

    def started(self, step: str, number: int, of: int) -> None: ...
    def progressed(self, done: int, total: int | None = None, note: str = "") -> None: ...
    def retrying(self, error: Exception, delay: float) -> None: ...
    def ended(self, result: Mapping[str, Any]) -> None: ...


def run(kind: str, **params: Any) -> Run:
    """Execute a run of that kind in this process."""
    return run_here(chains.start(kind, trigger="command", params=params), watcher=Silent())


def of_project(project: Project) -> override_settings:
    """Settings that lead to the project's folders."""
    backups = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(project.store)},
    }
    return override_settings(
        MEDIA_ROOT=str(project.media),
        STORAGES={**settings.STORAGES, "backups": backups},
        BACKUP={**settings.BACKUP, "WORKSPACE": str(project.workspace)},
    )


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The rows of the source, the package, and the rows of the target."""

    source: str
    target: str
    manifest: Manifest
    folder: Path
    """Where the package was unpacked to."""
    before: Mapping[str, list[Row]]
    """Rows of the source, by model label, as their columns hold them."""
    after: Mapping[str, list[Row]]
    """Rows of the target."""
    report: Mapping[str, Any]
    next_keys: Mapping[str, int] = field(default_factory=dict)
    """By model label: the primary key that the next row of the target got."""

    def entry(self, label: str) -> ModelEntry:
        return next(entry for entry in self.manifest.models if entry.label == label)

    def lines(self, label: str) -> list[Row]:
        """The model's lines in the package."""
        member = self.entry(label).member
        if member is None:
            return []
        with closing((self.folder / member).open("rb")) as lines:
            return [json.loads(line) for line in lines]

    def line(self, label: str, pk: Any) -> Row:
        """The line of the row with that primary key."""
        return next(line for line in self.lines(label) if line["_pk"] == pk)


def stored(models_: "list[type[models.Model]]") -> dict[str, list[Row]]:
    """Read the tables of the models with a bare SELECT, sorted."""
    found = {}
    for model in models_:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)}")
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        found[model._meta.label_lower] = sorted(rows, key=repr)
    return found


def awkward_models() -> "list[type[models.Model]]":
    """The app's models that have a table, those in between included."""
    return [
        model
        for model in apps.get_app_config("testapp").get_models(include_auto_created=True)
        if not model._meta.proxy and model is not Absent
    ]


def transfer_rows(
    source: Project, target: Project, folder: Path, *, kept: Path | None = None
) -> Transfer:
    """Back up the source into a package and restore that into the target. `kept`: restore that one,
    which was made of the same rows long ago."""
    package = kept or folder / "zoo.tar.zst"
    with of_project(source), as_default_database(source):
        before = stored(awkward_models())
        if kept is None:
            # The rows name files that nobody made: rows are what is looked at here.
            run("backup", output=str(package), accept_missing_files=True)
    manifest = unpack(package, folder / "unpacked", identities=(), progress=lambda size: None)
    with of_project(target), as_default_database(target):
        restore = run("restore", package=str(package), safety=False)
        after = stored(awkward_models())
        next_keys = {
            model._meta.label_lower: rows_of(model).create(**values).pk
            for model, values in _new_rows().items()
        }
    return Transfer(
        source=source.engine,
        target=target.engine,
        manifest=manifest,
        folder=folder / "unpacked",
        before=before,
        after=after,
        report=restore.report,
        next_keys=next_keys,
    )


def _new_rows() -> "dict[type[models.Model], dict[str, Any]]":
    from tests.testapp import models as awkward

    return {
        awkward.Everything: {},
        awkward.Node: {"name": "new"},
        awkward.OddNames: {"order": "new"},
        awkward.Inn: {"address": "new", "beds": 1},
        awkward.Hidden: {"name": "new"},
    }
