"""One object of a package is planned, shown and merged from the admin."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from backup_tasks.models import AuditEntry, Package, Run
from backup_tasks.runs import foreground
from edms.documents.models import Document, Tag
from tests.unit.admin.conftest import SignedIn, Silent

pytestmark = pytest.mark.usefixtures("queue")


@pytest.fixture
def tag(on_demo_project: object) -> str:
    """An object that is in the package, and that live then loses."""
    Tag.objects.create(name="lost since")
    return "lost since"


@pytest.fixture
def lost(tag: str, package: Package) -> Package:
    Tag.objects.filter(name=tag).delete()
    Document.objects.update(title="Edited since")
    return package


@pytest.fixture
def client(signed_in: SignedIn) -> Client:
    return signed_in("view_package", "view_run", "download_package", "start_restore")


def performed(response: Any) -> Run:
    """Do what the workers would, of the run that a page has started."""
    run = Run.objects.get(pk=response.headers["Location"].strip("/").split("/")[-2])
    return foreground.run_here(run, watcher=Silent())


def page_of(run: Run, page: str = "change") -> str:
    return reverse(f"admin:backup_tasks_run_{page}", args=[run.pk])


def test_a_plan_is_made_shown_confirmed_and_merged(client: Client, lost: Package) -> None:
    look = reverse("admin:backup_tasks_package_look_rows", args=[lost.pk])
    found = client.get(look, {"model": "documents.tag", "q": "lost since"}).content.decode()
    row = found.split("/look/row/?")[1].split('"')[0].replace("&amp;", "&")
    page = client.get(reverse("admin:backup_tasks_package_look_row", args=[lost.pk]) + f"?{row}")
    link = page.content.decode().split('id="backup-object" href="')[1].split('"')[0]
    assert "Make the plan" in client.get(link).content.decode()

    planned = performed(client.post(link, {"on_conflict": "target", "missing_users": ""}))

    assert not Tag.objects.filter(name="lost since").exists()
    told = client.get(page_of(planned)).content.decode()
    assert "What a merge would do" in told
    assert page_of(planned, "merge") in told
    assert "1 row will be inserted" in client.get(page_of(planned, "merge")).content.decode()
    assert "not what was asked for" in (
        client.post(page_of(planned, "merge"), {"typed": "yes"}).content.decode()
    )

    merged = performed(client.post(page_of(planned, "merge"), {"typed": lost.name}))

    assert Tag.objects.filter(name="lost since").exists()
    assert set(Document.objects.values_list("title", flat=True)) == {"Edited since"}
    assert merged.params["objects"] == ["documents.tag=lost since"]
    assert Package.objects.filter(label="safety").exists()
    assert AuditEntry.objects.get(what="confirmed").details == {"confirmed": f"typed {lost.name}"}
    assert "What was merged" in client.get(page_of(merged)).content.decode()


def test_a_plan_that_would_be_refused_is_shown_and_can_not_be_merged(
    client: Client, lost: Package
) -> None:
    plan = {"models": {}, "files": {}, "refused": ["users.user ada is in neither"]}
    run = Run.objects.create(
        pk="restore-20260101T000000-abcde",
        kind="restore",
        state="succeeded",
        params={"package": lost.name, "mode": "merge", "promote": False, "safety": False},
        package=lost.name,
        report={"merge": plan, "warnings": []},
    )
    told = client.get(page_of(run)).content.decode()
    assert "users.user ada is in neither" in told
    assert "backup-merge" not in told

    response = client.post(page_of(run, "merge"), {"typed": lost.name})

    assert response.headers["Location"] == page_of(run)
    assert any("no plan here" in str(each) for each in get_messages(response.wsgi_request))


def test_it_takes_the_permission_to_restore(signed_in: SignedIn, lost: Package) -> None:
    client = signed_in("view_package", "view_run", "download_package", "start_backup")
    address = reverse("admin:backup_tasks_package_object", args=[lost.pk])
    assert client.get(address + "?object=documents.tag=x").status_code == 403
    assert client.post(address + "?object=documents.tag=x").status_code == 403
    assert not Run.objects.filter(kind="restore").exists()


@pytest.mark.parametrize("named", ["", "x", "documents.tag=", "=x"])
def test_an_address_that_names_no_object_is_not_found(
    client: Client, package: Package, named: str
) -> None:
    address = reverse("admin:backup_tasks_package_object", args=[package.pk])
    assert client.get(address, {"object": named}).status_code == 404
