"""One package of several databases: made, verified, listed; and what is refused."""

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from pytest_django import Settings

from backup_tasks import api
from backup_tasks.backup.dump import dump_rows
from backup_tasks.errors import BackupError, DoesNotFit, Misconfigured, PackageDamaged
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.reader import read_manifest
from tests.aliases import alias_of, alias_with, entry_of
from tests.integration.several.conftest import Two


def manifest_of(package: Path, tmp_path: Path) -> Manifest:
    return read_manifest(package, identities=(), scratch=tmp_path)


def test_a_package_holds_the_rows_of_each_database(two: Two, tmp_path: Path) -> None:
    first, archive = two.contents()

    run = api.run_here("backup", {"output": str(two.package)})

    manifest = manifest_of(two.package, tmp_path)
    assert manifest.database["alias"] == "default"
    assert manifest.databases["archive"]["database"]["vendor"] != manifest.database["vendor"]
    for part, rows in ((manifest.part(), first), (manifest.part("archive"), archive)):
        assert {entry.table: entry.count for entry in part.models if entry.count} == {
            table: len(found)
            for table, found in rows.tables.items()
            if found and table != "django_migrations"
        }
    assert run.report["models"]["documents.document"]["before"] == 5
    assert run.report["models"]["archive:documents.document"]["expected"] == 0
    assert not any("in no package" in line for line in run.report["warnings"])
    verified = api.run_here("verify", {"package": str(two.package)})
    assert verified.report["models"]["archive:documents.documenttype"]["expected"]


def test_a_package_of_several_databases_is_folders_of_lines(two_files: Two, tmp_path: Path) -> None:
    """Plain tools find each database's rows."""
    package = tmp_path / "plain.tar"
    api.run_here("backup", {"output": str(package), "compress": "none"})

    with tarfile.open(package) as opened:
        names = opened.getnames()

    folders = {name.rpartition("/")[0] for name in names if name.endswith(".jsonl")}
    assert {"database", "databases/archive"} <= folders


def test_a_package_of_one_database_says_nothing_of_several(
    two_files: Two, settings: Settings, tmp_path: Path
) -> None:
    """Whoever reads format 2 reads it."""
    settings.BACKUP = {**settings.BACKUP, "DATABASES": ["default"]}

    api.run_here("backup", {"output": str(two_files.package)})

    written = json.loads(manifest_of(two_files.package, tmp_path).to_json())
    assert "databases" not in written
    assert "alias" not in written["database"]


def test_an_alias_of_the_same_database_is_backed_up_once(
    two_files: Two, settings: Settings, tmp_path: Path
) -> None:
    settings.BACKUP = {**settings.BACKUP, "DATABASES": ["default", "again"]}
    with alias_of("again", two_files.first):
        api.run_here("backup", {"output": str(two_files.package)})

    assert manifest_of(two_files.package, tmp_path).databases == {}


def test_an_alias_that_only_the_server_knows_to_be_the_same_is_refused(
    two_files: Two, settings: Settings, tmp_path: Path
) -> None:
    settings.BACKUP = {**settings.BACKUP, "DATABASES": ["default", "again"]}
    (tmp_path / "hard.sqlite3").hardlink_to(two_files.first.database)
    entry = {**entry_of(two_files.first), "NAME": str(tmp_path / "hard.sqlite3")}

    with alias_with("again", entry), pytest.raises(Misconfigured, match="lead to one database"):
        api.run_here("backup", {"output": str(two_files.package)})


@pytest.mark.usefixtures("two_files")
@pytest.mark.parametrize("options", [{"include": ["documents"]}, {"include_users": False}])
def test_a_selection_of_several_databases_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(Misconfigured, match="several databases"):
        api.run_here("backup", options)


def test_a_database_that_does_not_answer_fails_the_backup(
    two_files: Two, settings: Settings
) -> None:
    """Half of the project is no backup."""
    settings.BACKUP = {**settings.BACKUP, "DATABASES": ["default", "away"]}
    away = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(two_files.package)}

    with alias_with("away", away), pytest.raises(BackupError, match="holds no database"):
        api.run_here("backup", {})


def test_a_database_is_checked_by_its_name(two_files: Two, tmp_path: Path) -> None:
    """The rows of one are never taken for those of the other."""
    api.run_here("backup", {"output": str(two_files.package), "type": "database"})
    manifest = manifest_of(two_files.package, tmp_path)
    contents = json.loads(manifest.to_json())
    contents["databases"] = {"other": contents["databases"]["archive"]}

    with pytest.raises(PackageDamaged):
        Manifest.from_json(json.dumps(contents).encode())


def test_a_package_of_several_databases_is_not_restored_into_one(
    two_files: Two, settings: Settings
) -> None:
    api.run_here("backup", {"output": str(two_files.package)})
    settings.BACKUP = {**settings.BACKUP, "DATABASES": ["default"]}
    before = two_files.contents()

    with pytest.raises(DoesNotFit, match="default, archive"):
        api.run_here("restore", {"package": str(two_files.package)})

    assert two_files.contents() == before


def test_both_snapshots_begin_before_the_first_row_is_read(two_files: Two, tmp_path: Path) -> None:
    """What is written while the first database is read is in neither part."""

    def write(done: int, total: int | None = None, note: str = "") -> None:
        for project in (two_files.first, two_files.archive):
            with closing(sqlite3.connect(project.database)) as database, database:
                database.execute("UPDATE documents_documenttype SET name = 'meanwhile ' || name")

    before = two_files.contents()
    manifest = dump_rows(tmp_path / "out", params={}, progress=write)

    lines = [
        (tmp_path / "out" / entry.member).read_text()
        for entry in manifest.every_model
        if entry.label == "documents.documenttype" and entry.member
    ]
    assert len(lines) == 2
    assert all("meanwhile" not in line for line in lines)
    assert two_files.contents() != before
