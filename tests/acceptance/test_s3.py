"""Files and packages on S3: backed up, restored and undone as on a disk; refusals are clear."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from pytest_django import Settings

from backup_tasks import ledger, moments
from backup_tasks.errors import BackupError, PackageNotFound, StorageRefused
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore.run_folder import runs_with_folder
from backup_tasks.storage.files import Tree
from edms.documents.models import Document, DocumentVersion
from tests.acceptance.contents import contents
from tests.integration.rows.transfer import run
from tests.s3 import Bucket
from tests.services import Project


@pytest.fixture
def engine() -> str:
    """What is tried here does not depend on the database."""
    return "sqlite"


@pytest.fixture
def on_s3(on_demo_project: Project, bucket: Bucket, settings: Settings) -> Project:
    """The demonstration, with its files and its store on S3."""
    for path in sorted(on_demo_project.media.rglob("*")):
        if path.is_file():
            key = f"media/{path.relative_to(on_demo_project.media)}"
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=path.read_bytes())
    settings.STORAGES = {
        **settings.STORAGES,
        "default": bucket.storage("media"),
        "backups": bucket.storage("store", file_overwrite=False),
    }
    return on_demo_project


def work_on() -> str:
    """Change, remove and add a file, and the rows that go with them. Returns the changed one."""
    Document.objects.update(title="spoilt")
    first, second = DocumentVersion.objects.order_by("pk")[:2]
    storage = storages["default"]
    tree = Tree("default")
    with (Path(__file__)).open("rb") as other:
        tree.write(str(first.file), other)
    storage.delete(str(second.file))
    with (Path(__file__)).open("rb") as other:
        tree.write("since.txt", other)
    return str(first.file)


def test_files_on_s3_are_restored_and_undone(on_s3: Project, bucket: Bucket) -> None:
    then, files_then = contents(on_s3).tables, bucket.held("media")
    package = run("backup").package
    changed = work_on()
    now, files_now = contents(on_s3).tables, bucket.held("media")
    assert files_now != files_then

    done = run("restore", package=package)

    assert bucket.held("media") == files_then
    assert contents(on_s3).tables == then
    assert done.report["files"]["digest_equal"] is True
    assert len([name for name in bucket.held("store") if name.endswith(".json")]) == 2  # safety too
    assert files_now[changed] != files_then[changed]

    run("undo")

    assert bucket.held("media") == files_now
    assert contents(on_s3).tables == now


def test_a_prune_puts_back_what_an_undone_restore_has_replaced_late(
    on_s3: Project, bucket: Bucket
) -> None:
    """Its request comes when the undo has made the object what it was; the restore's copy is there
    until its undo point expires."""
    package = run("backup").package
    files_then = bucket.held("media")
    changed = work_on()
    files_now = bucket.held("media")
    restore = run("restore", package=package, safety=False)
    written = bucket.client.head_object(Bucket=bucket.name, Key=f"media/{changed}")["Metadata"]
    undo = run("undo")
    bucket.client.put_object(
        Bucket=bucket.name, Key=f"media/{changed}", Body=files_then[changed], Metadata=written
    )

    (warning,) = run("prune").report["warnings"]

    assert bucket.held("media") == files_now
    assert changed in warning
    assert undo.pk in warning
    UndoPoint.objects.filter(pk=restore.pk).update(expires_at=moments.now() - timedelta(days=1))
    assert run("prune").report["warnings"] == []
    assert restore.pk not in runs_with_folder(Tree("default"))


def test_a_prune_puts_back_what_somebody_took_away_who_had_lost_the_last_restore(
    on_s3: Project, bucket: Bucket
) -> None:
    """Its request to delete came late: what it deletes is copied first."""
    files_then = bucket.held("media")
    package = run("backup").package
    storages["default"].delete(lost := str(DocumentVersion.objects.order_by("pk")[0].file))
    restore = run("restore", package=package, safety=False)
    assert bucket.held("media") == files_then
    source = {"Bucket": bucket.name, "Key": f"media/{lost}"}
    copy = f"media/.backup_tasks/{restore.pk}/taken/{lost}"
    bucket.client.copy_object(Bucket=bucket.name, Key=copy, CopySource=source)
    bucket.client.delete_object(**source)

    pruned = run("prune")

    assert bucket.held("media") == files_then
    assert [lost in warning and restore.pk in warning for warning in pruned.report["warnings"]] == [
        True
    ]
    assert run("prune").report["warnings"] == []


def test_a_part_takes_its_files_from_s3(on_s3: Project, bucket: Bucket) -> None:
    files_then = bucket.held("media")
    package = run("backup").package
    work_on()
    since = bucket.held("media")["since.txt"]

    run("restore", package=package, safety=False, include=["documents"], exclude=["users"])

    assert bucket.held("media") == {**files_then, "since.txt": since}


def test_a_file_that_is_replaced_is_there_at_every_moment(on_s3: Project, bucket: Bucket) -> None:
    package = run("backup").package
    changed = work_on()
    client, done, missed = bucket.client, threading.Event(), list[Exception]()

    def read() -> None:
        while not done.is_set():
            try:
                client.get_object(Bucket=bucket.name, Key=f"media/{changed}")
            except client.exceptions.ClientError as error:
                missed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        run("restore", package=package, safety=False)
    finally:
        done.set()
        reader.join(30)

    assert missed == []


def refused(kind: str, **params: Any) -> BackupError:
    """It must fail at once: what a storage denies is not tried again for minutes."""
    with pytest.raises(BackupError) as caught:
        run(kind, **params)
    failed = Run.objects.order_by("-created_at").first()
    assert failed is not None
    step = ledger.current_step(failed)
    assert step is not None
    assert step.attempt == 1
    return caught.value


def test_access_denied_to_the_files_is_told_and_live_is_untouched(
    on_s3: Project, bucket: Bucket
) -> None:
    package = run("backup").package
    work_on()
    tables, files = contents(on_s3).tables, bucket.held("media")
    bucket.deny("s3:PutObject")

    error = refused("restore", package=package, safety=False)

    assert isinstance(error, StorageRefused)
    assert "AccessDenied" in error.what or "Forbidden" in error.what
    assert "storage default" in error.obj
    assert "rights" in error.hint
    assert contents(on_s3).tables == tables
    assert bucket.held("media") == files


def test_access_denied_to_the_store_is_told(on_s3: Project, bucket: Bucket) -> None:
    bucket.deny("s3:PutObject")

    error = refused("backup")

    assert isinstance(error, StorageRefused)
    assert "the store 'backups' failed" in error.what
    assert bucket.held("store") == {}


@pytest.mark.parametrize("alias", ["default", "backups"])
def test_a_bucket_that_does_not_exist_is_named(
    on_s3: Project, bucket: Bucket, settings: Settings, alias: str
) -> None:
    gone = Bucket(endpoint=bucket.endpoint, name="no-such-bucket")
    settings.STORAGES = {**settings.STORAGES, alias: gone.storage("x", file_overwrite=False)}

    error = refused("backup")

    assert isinstance(error, StorageRefused)
    assert "NoSuchBucket" in error.what
    assert alias in error.what
    if alias == "backups":
        with pytest.raises((StorageRefused, PackageNotFound)):
            run("restore", package="x", safety=False)
