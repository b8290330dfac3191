"""With `FOUR_EYES`, what replaces live starts when another person approves it, and not before."""

from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from backup_tasks import moments
from backup_tasks.models import ApprovalRequest, AuditEntry, Package, Run
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, run_here

Queue = Callable[[], int]


@pytest.fixture
def engine() -> str:
    """The ledger has tests of its own on each database."""
    return "sqlite"


@pytest.fixture(autouse=True)
def four_eyes(settings: Settings, on_demo_project: Project) -> None:
    settings.BACKUP = {**settings.BACKUP, "FOUR_EYES": True}


@pytest.fixture
def ada(signed_in: SignedIn) -> Client:
    return signed_in("start_backup", "start_restore")


@pytest.fixture
def ben(signed_in: SignedIn) -> Client:
    return signed_in("start_restore")


def address(name: str, *arguments: object) -> str:
    return reverse(f"admin:backup_tasks_{name}", args=arguments)


def seen(client: Client, path: str) -> str:
    return unescape(client.get(path, follow=True).content.decode())


def press(client: Client, button: str, asked: ApprovalRequest) -> str:
    answer = client.post(address(f"approvalrequest_{button}", asked.pk), follow=True)
    return unescape(answer.content.decode())


def restore_asked_for(by: Client, package: Package) -> ApprovalRequest:
    answer = by.post(
        address("package_restore", package.pk), {"typed": package.name, "type": "database"}
    )
    asked = ApprovalRequest.objects.latest("created_at")
    assert answer["Location"] == address("approvalrequest_change", asked.pk)
    return asked


def test_a_restore_starts_when_another_person_approves_it(
    ada: Client, ben: Client, package: Package, queue: Queue
) -> None:
    asked = restore_asked_for(ada, package)
    assert not Run.objects.filter(kind="restore").exists()
    assert "backup-approve" not in seen(ada, address("approvalrequest_change", asked.pk))
    assert "Another person has to approve" in press(ada, "approve", asked)
    assert "Waiting for somebody to approve: 1" in seen(ben, address("run_changelist"))
    page = seen(ben, address("approvalrequest_change", asked.pk))
    assert "backup-approve" in page
    assert package.name in page
    assert queue() == 0

    press(ben, "approve", asked)

    run = Run.objects.get(kind="restore")
    asked.refresh_from_db()
    assert (run.params["package"], run.params["type"]) == (package.name, "database")
    assert (asked.state, asked.run) == ("approved", run)
    assert run.requested_by == asked.requested_by != asked.decided_by
    assert queue() == 1
    trail = AuditEntry.objects.order_by("position").values_list("what", "obj", "by")
    assert list(trail)[-4:] == [
        ("requested", str(asked.pk), asked.requested_by),
        ("started", run.pk, asked.requested_by),
        ("confirmed", run.pk, asked.requested_by),
        ("approved", run.pk, asked.decided_by),
    ]
    assert "Somebody has decided on it already." in press(ben, "approve", asked)
    assert Run.objects.filter(kind="restore").count() == 1


def test_what_is_refused_or_taken_back_or_asked_for_too_long_ago_never_starts(
    ada: Client, ben: Client, package: Package, queue: Queue
) -> None:
    refused, taken_back, old = (restore_asked_for(ada, package) for _ in range(3))
    ApprovalRequest.objects.filter(pk=old.pk).update(
        created_at=moments.now() - timedelta(hours=24, seconds=1)
    )

    press(ben, "refuse", refused)
    assert "Take it back" in seen(ada, address("approvalrequest_change", taken_back.pk))
    press(ada, "refuse", taken_back)

    for asked, why in ((refused, "decided"), (taken_back, "decided"), (old, "too long ago")):
        assert why in press(ben, "approve", asked)
    assert not Run.objects.filter(kind="restore").exists()
    assert queue() == 0


def test_an_undo_that_would_undo_something_else_by_now_is_not_started(
    ada: Client, ben: Client, package: Package, queue: Queue
) -> None:
    first = run_here("restore", package=package.name, type="database")
    ada.post(address("undopoint_undo"), {"typed": first.pk})
    asked = ApprovalRequest.objects.get(kind="undo")
    run_here("restore", package=package.name, type="database")

    assert "is not what was confirmed" in press(ben, "approve", asked)

    asked.refresh_from_db()
    assert asked.state == "waiting"
    assert not Run.objects.filter(kind="undo").exists()


def test_what_can_t_be_started_may_be_approved_again(
    ada: Client, ben: Client, package: Package, no_broker: None
) -> None:
    asked = restore_asked_for(ada, package)

    assert "broker does not answer" in press(ben, "approve", asked)

    asked.refresh_from_db()
    assert (asked.state, asked.decided_by) == ("waiting", "")


def test_an_approval_whose_process_died_before_it_started_a_run_says_so(
    ada: Client, ben: Client, package: Package
) -> None:
    """It is not taken for one that has restored something, and never starts by itself."""
    asked = restore_asked_for(ada, package)
    ApprovalRequest.objects.filter(pk=asked.pk).update(
        state="approved", decided_by="ben", decided_at=moments.now()
    )

    assert "no run of it is recorded" in seen(ada, address("approvalrequest_change", asked.pk))
    assert "Somebody has decided on it already." in press(ben, "approve", asked)
    assert not Run.objects.filter(kind="restore").exists()


def test_what_does_not_replace_live_needs_nobody_else(ada: Client, queue: Queue) -> None:
    ada.post(address("run_back_up"))

    assert queue() == 1
    assert not ApprovalRequest.objects.exists()


def test_deciding_takes_the_permission_to_restore(
    ada: Client, signed_in: SignedIn, package: Package
) -> None:
    asked = restore_asked_for(ada, package)
    other = signed_in("start_backup", "view_approvalrequest")

    for button in ("approve", "refuse"):
        assert other.post(address(f"approvalrequest_{button}", asked.pk)).status_code == 403
        assert "Nothing was done" in seen(ada, address(f"approvalrequest_{button}", asked.pk))
    assert "backup-refuse" not in seen(other, address("approvalrequest_change", asked.pk))
