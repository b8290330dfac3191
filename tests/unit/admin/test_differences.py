"""A package's page has its rows by model beside the package before it, and beside live if asked."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from backup_tasks.models import Package, Run
from edms.documents.models import Tag
from tests.unit.admin.conftest import SignedIn, run_here


def figures(page: str, name: str) -> list[str]:
    """The figures of a line of the table."""
    row = page.split(f'<th scope="row">{name}</th>')[1].split("</tr>")[0]
    return re.findall(r">([^<]+)</td>", row)


@pytest.fixture
def second(package: Package) -> Package:
    """A package that was made after three rows had been added, and the first one's is one more."""
    Tag.objects.bulk_create(Tag(name=f"new {number}") for number in range(3))
    return Package.objects.get(name=run_here("backup").package)


def page_of(client: Client, package: Package, query: str = "") -> str:
    address = reverse("admin:backup_tasks_package_change", args=[package.pk])
    return client.get(address + query).content.decode()


def test_rows_are_compared_with_the_package_before_and_with_live_if_asked(
    signed_in: SignedIn, package: Package, second: Package
) -> None:
    client = signed_in("start_backup")
    before = Tag.objects.count() - 3
    Tag.objects.create(name="since then")

    page = page_of(client, second)
    assert package.name in page
    assert figures(page, "documents.tag") == [str(before + 3), str(before), "+3"]
    assert figures(page, "files") == [str(second.files), str(package.files), "–"]

    live = page_of(client, second, "?live=1")
    assert figures(live, "documents.tag")[3:] == [str(before + 4), "+1"]
    assert figures(live, "users.user")[4] == "+1"  # who looks
    assert "There is no older package" in page_of(client, package)


def test_without_a_run_that_read_it_the_page_says_so_and_reads_nothing(
    signed_in: SignedIn, package: Package
) -> None:
    Run.objects.all().delete()
    client = signed_in("view_package")
    page = page_of(client, package, "?live=1")
    assert "The ledger has no figures by model" in page
    assert "Live now" not in page  # counting takes a permission to start runs
    with CaptureQueriesContext(connection) as queries:
        page_of(client, package)
    assert len(queries) <= 15
