"""The home page: the light with its reasons, and what would be lost; quick, in words, to whom it
concerns."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_results.models import TaskResult
from pytest_django import Settings

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.models import Package, PackageVerdict, Run
from backup_tasks.runs import slot
from backup_tasks.storage.installation import this_installation
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, run_here

HOME = "/admin/backup_tasks/"
VIEWS = ("view_run", "view_package")
MOST_QUERIES = 15
TOKEN = "a-token-of-prometheus"


@pytest.fixture
def engine() -> str:
    """What the page shows does not depend on the database."""
    return "sqlite"


def text_of(html: str) -> str:
    """What a person reads, on one line; without colours."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def seen(signed_in: SignedIn, *permissions: str) -> str:
    """What a member of the staff reads on the page."""
    answer = signed_in(*permissions).get(HOME)
    assert answer.status_code == 200
    return text_of(answer.content.decode())


def test_the_light_goes_from_red_over_amber_to_green(signed_in: SignedIn) -> None:
    assert "✗ Critical Your data is not safe now." in seen(signed_in, *VIEWS)

    run_here("backup")
    TaskResult.objects.create(task_id="1", task_name="backup_tasks.reconcile", status="SUCCESS")
    told = seen(signed_in, *VIEWS)
    assert "! Warning Something needs attention." in told
    assert "No backup of the rows and files was proven by a restore or a drill." in told
    assert "What to do: `drill_restore` restores the last good one" in told
    assert "Recovery time not known : no drill has succeeded" in told

    drill = run_here("drill")
    page = signed_in(*VIEWS, "view_undopoint").get(HOME).content.decode()
    told = text_of(page)
    assert "✓ OK Your data is safe." in told
    assert "Why, and what to do" not in told
    assert "Recovery point of the rows and files just now" in told
    assert re.search(r"Recovery time \d+\.\d s , as the last drill took", told)
    package = Package.objects.get(name=drill.package)
    for link in (
        reverse("admin:backup_tasks_package_change", args=[package.pk]),
        reverse("admin:backup_tasks_run_change", args=[drill.pk]),
        reverse("admin:backup_tasks_run_changelist"),
        reverse("admin:backup_tasks_package_changelist"),
        reverse("admin:backup_tasks_undopoint_changelist"),
    ):
        assert f'href="{link}"' in page
    assert "Store backups 1 package," in told
    assert "a backup like the last one needs" in told


def test_a_schedule_says_when_it_runs_next_and_how_it_ended_last(signed_in: SignedIn) -> None:
    told = seen(signed_in, *VIEWS)
    assert re.search(r"nightly \d{4}-\d\d-\d\d 02:30 none", told)

    run, _ = slot.start(slot.named("nightly"))

    assert "○ waiting Backup , just now" in seen(signed_in, *VIEWS)
    Run.objects.filter(pk=run.pk).update(state=Run.State.FAILED)
    assert "✗ failed Backup , just now" in seen(signed_in, *VIEWS)


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        (VIEWS, True),
        (("start_backup", "view_undopoint"), True),
        (("start_restore",), True),
        (("view_run",), False),
        (("view_package",), False),
        (("view_undopoint",), False),
    ],
)
def test_who_may_not_see_runs_and_packages_sees_no_light(
    signed_in: SignedIn, permissions: tuple[str, ...], allowed: bool
) -> None:
    told = seen(signed_in, *permissions)

    assert ("Recovery point" in told) is allowed
    assert ("Critical" in told) is allowed


def test_who_may_see_nothing_of_backups_is_told_that_there_is_no_such_page(
    signed_in: SignedIn,
) -> None:
    assert signed_in().get(HOME).status_code == 404


def test_a_thousand_runs_and_packages_take_fifteen_queries(
    on_demo_project: Project, signed_in: SignedIn, settings: Settings
) -> None:
    """Of an ordinary operator, whose permissions are asked for too, with everything to tell."""
    settings.BACKUP = {**settings.BACKUP, "MONITORING_TOKEN": TOKEN}
    now, own = moments.now(), this_installation()
    on_demo_project.store.mkdir(exist_ok=True)
    Package.objects.bulk_create(_package(number, now, own) for number in range(1000))
    for number in range(1000):
        (on_demo_project.store / f"edms-{number}.tar.zst").touch()
    kinds = ["backup", "drill", "verify", "prune"]
    Run.objects.bulk_create(
        Run(
            id=f"run-{number}",
            kind=kinds[number % 4],
            state="failed" if number < 4 else "succeeded",
            trigger="schedule",
            slot=f"nightly-2026-01-01#{number}",
            created_at=now - timedelta(hours=number),
            started_at=now - timedelta(hours=number),
            finished_at=now - timedelta(hours=number),
        )
        for number in range(1000)
    )
    failed = {"test": "bytes", "passed": False, "at": now}
    PackageVerdict.objects.bulk_create(
        PackageVerdict(sha256=f"{number:064}", **failed) for number in range(500, 520)
    )
    client = signed_in(*VIEWS, "view_undopoint", "view_step", "view_auditentry")
    newest = Package.objects.order_by("-created_at")[0]
    told = {}

    for path in (
        HOME,
        f"{HOME}run/",
        f"{HOME}run/run-0/change/",
        f"{HOME}package/",
        f"{HOME}package/{newest.pk}/change/",
        f"{HOME}undopoint/",
        f"{HOME}auditentry/",
        "/backup/health",
        "/backup/metrics",
    ):
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(path, headers={"authorization": f"Bearer {TOKEN}"})
            told[path] = text_of(answer.content.decode())
        assert len(queries) <= MOST_QUERIES, [path, *(each["sql"][:200] for each in queries)]

    assert "The last drill failed (run-1)" in told[HOME]
    assert "Package edms-500.tar.zst failed: it failed a scrub" in told[HOME]
    assert "1000 packages" in told[HOME]
    assert "1000 packages" in told[f"{HOME}package/"]
    assert 'backup_packages{store="backups"} 1000' in told["/backup/metrics"]


def _package(number: int, now: datetime, own: str) -> Package:
    return Package(
        name=f"edms-{number}.tar.zst",
        store="backups",
        package_id=f"{number:032}",
        label="",
        type="full",
        size=0,
        sha256=f"{number:064}",
        encrypted=False,
        signed=False,
        rows=1,
        files=1,
        created_at=now - timedelta(hours=number),
        project=backup_settings().project,
        installation=own,
        trusted=True,
        seen_at=now,
    )
