"""What the pages say: of runs that wait, work, fail and succeed, and of packages."""

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from backup_tasks import ledger
from backup_tasks.admin.timeline import not_compared
from backup_tasks.errors import Cancelled, DatabaseUnavailable
from backup_tasks.models import Package, Run, Step
from backup_tasks.runs import chains
from edms.documents.models import Tag
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, run_here


@pytest.fixture
def read(signed_in: SignedIn) -> Callable[..., str]:
    """Call it with the name of a page: what the page says, as HTML."""
    client: Client = signed_in("start_backup", "start_restore")

    def content(name: str, *arguments: object, query: str = "") -> str:
        answer = client.get(reverse(f"admin:backup_tasks_{name}", args=arguments) + query)
        assert answer.status_code == 200
        return unescape(answer.content.decode())

    return content


Read = Callable[..., str]


def claimed(run: Run, step: str) -> ledger.Claim:
    claim = ledger.claim(run.pk, step)
    assert isinstance(claim, ledger.Claim)
    return claim


def test_a_failed_run_says_what_happened_to_what_and_what_to_do(
    read: Read, failed_restore: Run
) -> None:
    page = read("run_change", failed_restore.pk)

    assert "Failed at step fetch." in page
    assert "No store holds it" in page
    assert "nowhere.tar.zst" in page
    assert "Look again." in page
    assert "Live data was not touched." in page


def test_a_night_that_was_skipped_says_why(read: Read, on_demo_project: Project) -> None:
    ledger.skip(
        "backup", slot="nightly-2026-11-28", trigger="schedule", why=Cancelled("it had one")
    )
    run = Run.objects.get()

    assert "It had one" in read("run_change", run.pk)
    assert run.pk in read("run_changelist")


def test_steps_after_the_failed_one_are_shown_as_not_run(read: Read, failed_restore: Run) -> None:
    """C8"""
    page = read("run_change", failed_restore.pk)

    assert page.count("✗</span> failed") == 2  # the run and its step
    assert page.count("not run") == failed_restore.steps.count() - 1


def test_a_step_s_page_has_its_attempts_and_the_traceback(read: Read, failed_restore: Run) -> None:
    page = read("step_change", failed_restore.steps.get(name="fetch").pk)

    assert "Traceback of a developer's interest" in page
    assert "✗ failed" in page


def test_a_running_step_shows_its_progress(read: Read, on_demo_project: Project) -> None:
    run = chains.start("backup", trigger="schedule", on_workers=True)
    step = claimed(run, "snapshot").step
    Step.objects.filter(pk=step.pk).update(
        progress={"done": 1200, "total": 4800, "note": "documents.document"}
    )

    page = read("run_change", run.pk)

    assert 'data-active="yes"' in page
    assert "At step 1 of 6: snapshot." in page
    assert '<progress max="4800" value="1200"' in page
    assert "1,200 of 4,800" in page
    assert "the schedule" in page


def test_a_step_that_waits_to_be_tried_again_says_why(read: Read, on_demo_project: Project) -> None:
    run = chains.start("backup", trigger="schedule", on_workers=True)
    ledger.will_retry(
        claimed(run, "snapshot"), DatabaseUnavailable("the database is away"), delay=60
    )

    page = read("run_change", run.pk)

    assert "will be tried again" in page
    assert "the database is away" in page
    assert "backup-resume" not in page


def test_a_run_that_no_worker_takes_says_what_to_look_at(
    read: Read, on_demo_project: Project
) -> None:
    run = chains.start("backup", trigger="admin", on_workers=True)
    Run.objects.update(created_at=timezone.now() - timedelta(minutes=3))

    assert "Does a worker run that serves the queue “backups”?" in read("run_change", run.pk)


def test_a_run_that_lost_its_worker_can_be_resumed(read: Read, on_demo_project: Project) -> None:
    run = chains.start("backup", trigger="admin", on_workers=True)
    step = claimed(run, "snapshot").step
    assert "backup-resume" not in read("run_change", run.pk)

    Step.objects.filter(pk=step.pk).update(lease_until=timezone.now() - timedelta(minutes=3))

    page = read("run_change", run.pk)
    assert "its worker is gone" in page
    assert "backup-resume" in page


def test_a_restore_shows_its_counts_by_name_and_how_to_undo_it(
    read: Read, package: Package
) -> None:
    restore = run_here("restore", package=package.name)

    page = read("run_change", restore.pk)

    assert "every model and file was proven equal" in page
    assert "storages whose files were replaced too: default" in page
    assert "It can be undone until" in page
    assert reverse("admin:backup_tasks_undopoint_undo") in page
    assert '<td class="field-files_of">default</td>' in read("undopoint_changelist")
    counts = page[page.index('id="counts"') :]
    shown = counts[: counts.index("models without any row")]
    names = [name for name in sorted(restore.report["models"]) if f">{name}<" in shown]
    assert names == sorted(names, key=lambda name: shown.index(f">{name}<"))
    assert "documents.document" in names
    assert "✗" not in counts


def test_an_undone_restore_says_so(read: Read, package: Package) -> None:
    restore = run_here("restore", package=package.name)
    undo = run_here("undo")

    assert "and that was undone at" in read("run_change", restore.pk)
    assert "is live again" in read("run_change", undo.pk)


def test_a_difference_is_marked_in_words(read: Read, on_demo_project: Project) -> None:
    run = chains.start("drill", trigger="admin", on_workers=True)
    figures: dict[str, Any] = {"before": None, "after_reinit": 0, "expected": 5}
    report = {
        "models": {
            "documents.document": {**figures, "after": 3, "digest_equal": False},
            "documents.tag": {**figures, "after": 5, "digest_equal": False},
        },
        "files": {**figures, "after": 5, "digest_equal": True},
        "warnings": ["documents.tag: look at it"],
    }
    ledger.succeed(claimed(run, "fetch"), {}, report=report)

    page = read("run_change", run.pk)

    assert "5 expected, 3 restored" in page
    assert "the content differs" in page
    assert "documents.tag: look at it" in page


def test_what_a_person_wrote_is_never_taken_for_html(read: Read, on_demo_project: Project) -> None:
    run = chains.start("backup", trigger="admin", params={"label": "<script>alert(1)</script>"})

    page = read("run_change", run.pk)

    assert "alert(1)" in page
    raw = page.count("<script>alert(1)</script>")
    assert raw == 1  # shown as text: `read` undoes the escaping, and nothing else wrote it


def test_the_list_of_runs_is_filtered_and_searched(
    read: Read, failed_restore: Run, package: Package
) -> None:
    backup = Run.objects.get(kind="backup")

    def listed(query: str) -> str:
        page = read("run_changelist", query=query)
        return page[page.index('id="result_list"') :]

    assert failed_restore.pk in listed("?state__exact=failed")
    assert backup.pk not in listed("?state__exact=failed")
    assert backup.pk in listed("?kind=backup")
    assert failed_restore.pk not in listed("?kind=backup")
    assert backup.pk in listed(f"?q={package.name}")


def test_a_run_s_page_links_to_its_tasks_in_flower(
    read: Read, settings: Settings, on_demo_project: Project
) -> None:
    settings.BACKUP = {**settings.BACKUP, "FLOWER_URL": "https://flower.example.org/tasks-of/"}
    run = chains.start("backup", trigger="admin", on_workers=True)

    link = (
        f"https://flower.example.org/tasks-of/tasks?name=backup_tasks%20kwargs%3Arun_id%3D{run.pk}"
    )
    assert f'href="{link}"' in read("run_change", run.pk)

    settings.BACKUP = {**settings.BACKUP, "FLOWER_URL": ""}
    assert "Flower" not in read("run_change", run.pk)


def test_a_restore_s_page_tells_what_changes_before_it_does(read: Read, package: Package) -> None:
    Tag.objects.create(name="written since the backup")

    page = read("package_restore", package.pk)

    changed = page[page.index("Rows now, and afterwards") : page.index("<details>")]
    assert ">documents.tag<" in changed
    assert ">documents.document<" not in changed
    assert "Live data is backed up first" in page
    assert "7 days" in page
    assert package.name in page


def test_a_package_that_was_only_found_is_read_where_it_lies(read: Read, package: Package) -> None:
    Run.objects.all().delete()

    page = read("package_restore", package.pk)

    assert "models have the same number of rows as the package" in page


def test_an_encrypted_package_of_unknown_content_says_so(read: Read, package: Package) -> None:
    Run.objects.all().delete()
    Package.objects.update(encrypted=True)

    page = read("package_restore", package.pk)

    assert "is not known here" in page
    assert "Identity file" in page


def test_a_package_that_is_broken_is_shown_above_the_list(
    read: Read, package: Package, on_demo_project: Project
) -> None:
    assert "Not to be counted on" not in read("package_changelist")

    (on_demo_project.store / package.name).unlink()

    assert "the store has the sidecar, but not the package" in read("package_changelist")


def test_every_list_has_a_page(read: Read, package: Package) -> None:
    run_here("restore", package=package.name)

    for name in ("run", "step", "package", "undopoint"):
        assert "result_list" in read(f"{name}_changelist")


def test_what_is_not_there_is_not_found(signed_in: SignedIn) -> None:
    client = signed_in("start_backup")

    for name, key in (("run", "x"), ("step", "0"), ("package", "0"), ("package", "x")):
        page = reverse(f"admin:backup_tasks_{name}_change", args=[key])
        assert client.get(page).status_code == 404


def test_a_run_says_when_or_why_not_it_is_compared() -> None:
    drill = [Step(name=name, state="pending") for name in ("fetch", "validate", "discard")]

    assert "which has not ended yet" in not_compared(Run(kind="drill", state="running"), drill)
    assert "ended before" in not_compared(Run(kind="drill", state="failed"), drill)
    backup = [Step(name="dump"), Step(name="prune")]
    assert "Nothing was restored" in not_compared(Run(kind="backup", state="running"), backup)
