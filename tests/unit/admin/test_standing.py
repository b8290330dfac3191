"""What the admin says of packages that failed, are proven, pinned, or not to be counted on."""

from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from backup_tasks.models import Package, PackagePin
from tests.integration.standing.conftest import damage, fails, prune
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, run_here

Read = Callable[..., str]


@pytest.fixture
def engine() -> str:
    """What pages say does not depend on the database."""
    return "sqlite"


@pytest.fixture
def client(signed_in: SignedIn) -> Client:
    """Somebody who may start backups and restores."""
    return signed_in("start_backup", "start_restore")


@pytest.fixture
def read(client: Client) -> Read:
    """Call it with the name of a page: what the page says."""

    def content(name: str, *arguments: object) -> str:
        answer = client.get(reverse(f"admin:backup_tasks_{name}", args=arguments))
        assert answer.status_code == 200
        return unescape(answer.content.decode())

    return content


def test_a_package_that_failed_is_red_everywhere_and_shows_its_failed_run(
    read: Read, package: Package, on_demo_project: Project
) -> None:
    run_here("drill", package=package.name)
    assert "✓ Proven" in read("package_change", package.pk)
    assert "proven</span>" in read("package_changelist")
    damage(on_demo_project, package.name)

    run = fails("verify", package=package.name)

    page = read("package_change", package.pk)
    assert "✓ Proven" not in page
    assert "backup-box-error" in page
    assert "it failed a verification" in page
    assert "SHA-256" in page
    assert "Restore all the same…" in page
    assert page.count(run.pk) >= 2  # with the failure, and among its runs
    listed = read("package_changelist")
    assert (
        '<span class="backup-state backup-failed"><span aria-hidden="true">✗</span> failed'
        in listed
    )
    assert "Last good backup: <strong>none</strong>" in listed
    assert "Last proven by a restore or a drill: <strong>none</strong>" in listed
    assert "it failed a verification" in read("package_restore", package.pk)


def test_what_is_last_good_and_last_proven_is_a_package_that_is_there(
    read: Read, package: Package, on_demo_project: Project
) -> None:
    run_here("drill", package=package.name)
    run_here("backup", type="files", output=str(on_demo_project.folder / "elsewhere.tar.zst"))
    link = reverse("admin:backup_tasks_package_change", args=[package.pk])
    told = read("run_changelist")
    assert f'Last good backup: <a href="{link}">' in told
    assert f'Last proven by a restore or a drill: <a href="{link}">' in told

    (on_demo_project.store / package.name).unlink()

    told = read("run_changelist")
    assert "Last good backup: <strong>none</strong>" in told
    assert "Last proven by a restore or a drill: <strong>none</strong>" in told


def test_a_package_is_pinned_and_unpinned_at_a_press_by_who_may_back_up(
    client: Client, read: Read, package: Package, signed_in: SignedIn
) -> None:
    pin = reverse("admin:backup_tasks_package_pin", args=[package.pk])
    assert client.get(pin).status_code == 302
    assert signed_in("view_package").post(pin).status_code == 403
    assert not PackagePin.objects.exists()

    client.post(pin)

    assert "<dt>Pinned</dt><dd>yes, by operator-" in read("package_change", package.pk)
    assert "proven, pinned" not in read("package_changelist")
    assert prune(dry_run=True)[0][package.name]["why"] == "pinned"

    client.post(reverse("admin:backup_tasks_package_unpin", args=[package.pk]))
    assert "<dt>Pinned</dt><dd>no</dd>" in read("package_change", package.pk)


def test_a_dry_run_of_a_prune_looks_like_one(read: Read, package: Package) -> None:
    run = run_here("prune", dry_run=True)

    page = read("run_change", run.pk)

    assert "Removal of old packages (dry run)" in read("run_changelist")
    assert "A dry run: nothing was removed." in page
    assert "What would become of each package" in page
    assert "the last good backup" in page
