"""A package is downloaded from its page: by whom that is allowed, and not unnoticed."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from backup_tasks.models import AuditEntry, Package
from tests.services import Project
from tests.unit.admin.conftest import SignedIn


def address(package: Package, what: str = "download") -> str:
    return reverse(f"admin:backup_tasks_package_{what}", args=[package.pk])


def downloads() -> list[tuple[str, str]]:
    return [*AuditEntry.objects.filter(what="downloaded").values_list("obj", "by")]


def test_the_file_is_sent_as_it_lies_in_the_store_and_the_audit_trail_has_who_took_it(
    signed_in: SignedIn, package: Package
) -> None:
    client = signed_in("view_package", "download_package")
    assert 'id="backup-download"' in client.get(address(package, "change")).content.decode()

    response = client.post(address(package))

    assert response["Content-Disposition"] == f'attachment; filename="{package.name}"'
    assert response["Content-Length"] == str(package.size)
    content = response.getvalue()
    assert hashlib.sha256(content).hexdigest() == package.sha256
    assert [obj for obj, by in downloads() if by.startswith("operator-")] == [package.name]


@pytest.mark.parametrize("permission", ["view_package", "start_backup", "start_restore"])
def test_no_other_permission_is_enough(
    signed_in: SignedIn, package: Package, permission: str
) -> None:
    client = signed_in("view_package", permission)

    assert client.post(address(package)).status_code == 403
    assert "backup-download" not in client.get(address(package, "change")).content.decode()
    assert downloads() == []


def test_a_link_downloads_nothing(signed_in: SignedIn, package: Package) -> None:
    response = signed_in("download_package").get(address(package))
    assert response.headers["Location"] == address(package, "change")
    assert downloads() == []


def shorten(store: Path, name: str) -> None:
    (store / name).write_bytes(b"half")


def remove(store: Path, name: str) -> None:
    for path in store.glob(f"{name.partition('.')[0]}.*"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "told"), [(shorten, "the store holds 4"), (remove, "no package of that name")]
)
def test_what_can_not_be_sent_whole_is_said_on_its_page(
    signed_in: SignedIn,
    on_demo_project: Project,
    package: Package,
    spoil: Callable[[Path, str], None],
    told: str,
) -> None:
    client: Client = signed_in("view_package", "download_package")
    spoil(on_demo_project.store, package.name)

    response = client.post(address(package))

    assert response.headers["Location"] == address(package, "change")
    assert any(told in str(message) for message in get_messages(response.wsgi_request))
    assert downloads() == []
