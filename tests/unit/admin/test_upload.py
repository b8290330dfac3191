"""An uploaded package lies in quarantine until a run has verified it, and then in the store."""

import hashlib
import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from backup_tasks.errors import BackupError, PackageDamaged, SignatureInvalid
from backup_tasks.models import AuditEntry, Package, Run
from backup_tasks.package.signature import generate_key
from backup_tasks.runs import foreground
from backup_tasks.storage import catalogue, uploads, workspace
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, Silent

PAGE = "admin:backup_tasks_package_upload"


@pytest.fixture
def client(signed_in: SignedIn, queue: object) -> Client:
    return signed_in("view_package", "view_run", "upload_package")


@pytest.fixture
def files(package: Package, on_demo_project: Project) -> dict[str, bytes]:
    """A package and its sidecar as they lay in a store that has lost them."""
    store = on_demo_project.store
    sidecar = next(store.glob("*.json"))
    found = {path.name: path.read_bytes() for path in (store / package.name, sidecar)}
    for path in store.iterdir():
        path.unlink()
    catalogue.refresh()
    return found


def send(client: Client, files: dict[str, bytes], **more: Any) -> Any:
    sidecar = {name: data for name, data in files.items() if name.endswith(".json")}
    packages = {name: data for name, data in files.items() if name not in sidecar}
    fields = [("package", packages), ("sidecar", sidecar)]
    data = {
        field: SimpleUploadedFile(name, content)
        for field, named in fields
        for name, content in named.items()
    }
    return client.post(reverse(PAGE), {**data, **more})


def told(response: Any) -> str:
    return unescape(" ".join(str(each) for each in get_messages(response.wsgi_request)))


def performed(response: Any) -> Run:
    run = Run.objects.get(pk=response.headers["Location"].strip("/").split("/")[-2])
    return foreground.run_here(run, watcher=Silent())


def left_over(project: Project) -> list[Path]:
    return [*project.folder.rglob(f"{workspace.UPLOAD}*")]


def test_a_package_is_in_no_store_before_it_is_verified_and_then_like_any_other(
    client: Client, files: dict[str, bytes], on_demo_project: Project
) -> None:
    name = next(iter(files))
    response = send(client, files)

    assert [upload.name for upload in uploads.waiting()] == [name]
    assert catalogue.refresh() == ()
    assert not Package.objects.exists()
    assert name in client.get(reverse(PAGE)).content.decode()
    (entry,) = AuditEntry.objects.filter(what="uploaded")
    assert (entry.obj, entry.details["size"]) == (name, len(files[name]))

    run = performed(response)

    assert run.state == Run.State.SUCCEEDED
    assert Package.objects.get().verified_at is not None
    stored = {path.name: path.read_bytes() for path in on_demo_project.store.iterdir()}
    assert {each: stored[each] for each in files} == files
    assert left_over(on_demo_project) == []
    assert "has a package of that name" in told(send(client, files))
    assert left_over(on_demo_project) == []


def test_a_package_in_clear_may_come_without_its_sidecar(
    client: Client, files: dict[str, bytes]
) -> None:
    name = next(iter(files))
    performed(send(client, {name: files[name]}))
    package = Package.objects.get()
    assert (package.name, package.signed) == (name, False)
    assert package.verified_at is not None


def damage(files: dict[str, bytes]) -> dict[str, bytes]:
    """Alter the package, and state its new SHA-256 in its sidecar, as an attacker would."""
    name, sidecar = files
    content = bytearray(files[name])
    content[len(content) // 2] ^= 1
    stated = {**json.loads(files[sidecar]), "sha256": hashlib.sha256(content).hexdigest()}
    return {name: bytes(content), sidecar: json.dumps(stated).encode()}


def test_what_is_not_sound_or_not_signed_stays_in_quarantine_with_the_reason(
    client: Client, files: dict[str, bytes], on_demo_project: Project, settings: Settings
) -> None:
    with pytest.raises(PackageDamaged):
        performed(send(client, damage(files)))
    settings.BACKUP = {**settings.BACKUP, "TRUSTED_KEYS": [generate_key()[1]]}
    with pytest.raises(SignatureInvalid):
        performed(send(client, files))

    assert [*on_demo_project.store.iterdir()] == []
    page = client.get(reverse(PAGE)).content.decode()
    assert "The package is not signed" in page
    first, second = uploads.waiting()
    client.post(reverse(f"{PAGE}_remove", args=[first.token]))
    settings.BACKUP = {**settings.BACKUP, "TRUSTED_KEYS": []}
    again = client.post(reverse(f"{PAGE}_verify", args=[second.token]))
    with pytest.raises(BackupError):
        performed(again)
    assert len(left_over(on_demo_project)) == 1
    assert AuditEntry.objects.filter(what="upload removed").count() == 1


def test_what_can_not_be_a_package_is_refused_at_once_and_leaves_nothing(
    client: Client, files: dict[str, bytes], on_demo_project: Project, settings: Settings
) -> None:
    name, sidecar = files
    other = {name: files[name][:-1], sidecar: files[sidecar]}
    for sent, said in [
        ({}, "no package was chosen"),
        ({"x.txt": b"x"}, "can't be the name of a package"),
        ({".hidden.tar": b"x"}, "can't be the name of a package"),
        (other, "the sidecar is that of another package"),
        ({name: b"age-encryption.org/v1\n" + bytes(100)}, "needs its sidecar"),
        ({name: files[name], sidecar: b"{"}, sidecar),
    ]:
        assert said in told(send(client, sent))
    settings.BACKUP = {**settings.BACKUP, "UPLOAD_LIMIT": 1000}
    assert "larger than 1000 bytes" in told(send(client, files))
    settings.BACKUP = {**settings.BACKUP, "UPLOAD_LIMIT": len(files[name]) - 1}
    assert "was not taken" in told(send(client, files))
    assert left_over(on_demo_project) == []
    assert not Run.objects.filter(kind="verify").exists()


def test_no_other_permission_is_enough_and_a_foreign_form_leaves_nothing(
    signed_in: SignedIn, files: dict[str, bytes], on_demo_project: Project
) -> None:
    client = signed_in("view_package", "start_backup", "start_restore", "download_package")
    assert client.get(reverse(PAGE)).status_code == 403
    assert send(client, files).status_code == 403

    client = signed_in("upload_package")
    client.handler.enforce_csrf_checks = True
    assert send(client, files).status_code == 403
    assert left_over(on_demo_project) == []


def test_a_name_that_another_upload_took_first_is_not_overwritten(
    client: Client, files: dict[str, bytes], on_demo_project: Project
) -> None:
    name = next(iter(files))
    first, second = send(client, files), send(client, {name: files[name]})
    performed(first)
    before = {path.name: path.read_bytes() for path in on_demo_project.store.iterdir()}
    performed(second)  # the same package: nothing to do
    after = {path.name: path.read_bytes() for path in on_demo_project.store.iterdir()}
    assert {each: after[each] for each in files} == {each: before[each] for each in files}
