"""The facts are what is there: real packages, runs and results, looked at in both ways."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_results.models import TaskResult

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.errors import BackupError
from backup_tasks.models import Installation, Package, PackageVerdict, Run, UndoPoint
from backup_tasks.runs import chains, slot
from backup_tasks.status import gather
from backup_tasks.status.conditions import judge
from backup_tasks.status.facts import Facts
from backup_tasks.status.light import Light
from backup_tasks.storage import last_good
from tests.integration.standing.conftest import damage, fails, put, run_here
from tests.services import Project

pytestmark = pytest.mark.usefixtures("on_project")


@pytest.fixture
def engine() -> str:
    """What is asked of the database is the same for all."""
    return "sqlite"


@pytest.fixture(autouse=True)
def reconciled(on_project: Project) -> None:
    """Beat and a worker have just done something."""
    TaskResult.objects.create(task_id="1", task_name="backup_tasks.reconcile", status="SUCCESS")


def reasons() -> list[str]:
    """Why the light is not green: the same by the stores as by the index."""
    stores, index = (judge(facts) for facts in (gather.of_stores(), gather.of_index()))
    assert (stores.light, stores.reasons) == (index.light, index.reasons)
    return [reason.name for reason in stores.reasons]


def test_a_new_system_a_backup_and_its_drill(on_project: Project) -> None:
    assert reasons() == ["no_good_backup"]

    run_here("backup")
    assert reasons() == ["never_proven"]

    run_here("drill")
    assert reasons() == []
    (point,) = gather.of_stores().points
    assert (point.what, point.good) == ("rows and files", point.proven)


def test_rows_and_files_have_recovery_points_of_their_own(on_project: Project) -> None:
    full = run_here("backup").package
    run_here("drill")
    rows = run_here("backup", type="database").package

    first, second = gather.of_stores().points

    assert (first.what, first.good and first.good.name) == ("rows", rows)
    assert (second.what, second.good and second.good.name) == ("files", full)
    assert first.proven == second.proven
    assert reasons() == []


def test_a_package_that_somebody_deleted_proves_nothing(on_project: Project) -> None:
    package = run_here("backup").package
    run_here("drill")
    (on_project.store / package).unlink()

    for facts in (gather.of_stores(), gather.of_index()):
        assert facts.gone == [package]
        assert judge(facts).light is Light.RED


def test_a_package_that_fails_is_a_reason_until_it_passes(on_project: Project) -> None:
    run_here("backup")
    run_here("drill")
    newer = run_here("backup").package
    mend = damage(on_project, newer)
    fails("verify", package=newer)
    assert "newer_package_failed" in reasons()

    mend()
    run_here("verify", package=newer)
    assert reasons() == []


def test_a_failed_run_is_a_reason_until_one_of_its_kind_succeeds(on_project: Project) -> None:
    run_here("backup")
    run_here("drill")
    failed = fails("drill", package="nowhere.tar.zst")

    assert reasons() == ["run_failed"]
    assert [each.run for each in gather.of_stores().ended] == [failed.pk]

    run_here("drill")
    assert reasons() == []


def test_a_failure_is_a_reason_however_many_runs_were_cancelled_since(
    on_project: Project,
) -> None:
    run_here("backup")
    run_here("drill")
    failed = fails("drill", package="nowhere.tar.zst")
    Run.objects.bulk_create(
        Run(
            id=f"backup-{number}",
            kind="backup",
            state=Run.State.CANCELLED,
            trigger="admin",
            created_at=moments.now(),
            finished_at=moments.now(),
        )
        for number in range(150)
    )

    assert reasons() == ["run_failed"]
    assert [each.run for each in gather.of_stores().ended] == [failed.pk]


def test_a_proof_clears_the_failures_before_it(on_project: Project) -> None:
    fails("verify", package="nowhere.tar.zst")
    run_here("backup")
    assert reasons() == ["never_proven", "run_failed"]

    run_here("drill")
    assert reasons() == []


def test_a_night_that_was_skipped_or_cancelled_is_a_reason(on_project: Project) -> None:
    run_here("backup")
    run_here("drill")
    run, _ = slot.start(slot.named("nightly"))
    chains.cancel(run.pk, requested_by="ada")

    assert reasons() == ["night_skipped"]

    run_here("backup")
    assert reasons() == []


def test_a_run_that_nobody_works_on_is_stuck(on_project: Project) -> None:
    run_here("backup")
    run_here("drill")
    run = chains.start("backup", trigger="admin", on_workers=True)
    assert reasons() == []

    run.steps.update(lease_until=moments.now() - timedelta(hours=1))
    assert reasons() == ["run_stuck"]


def test_a_restore_without_its_files_is_red(on_project: Project) -> None:
    run_here("backup")
    run_here("drill")
    run = Run.objects.latest("created_at")
    UndoPoint.objects.create(run=run, schema="x", expires_at=moments.now() + timedelta(days=1))

    assert gather.of_stores().half_done == [run.pk]
    assert "promote_unfinished" in reasons()


def test_beat_is_silent_when_its_last_result_is_old(on_project: Project) -> None:
    run_here("backup")
    run_here("drill")

    TaskResult.objects.update(date_done=timezone.now() - timedelta(minutes=11))

    assert reasons() == ["beat_silent"]


def test_what_somebody_else_put_there_does_not_count(on_project: Project) -> None:
    package = run_here("backup").package
    run_here("drill")
    future = put(on_project, package, "edms-future", created_at=moments.now() + timedelta(days=9))
    (on_project.store / "odd.json").write_text("{")
    last_good.survey()

    facts = gather.of_stores()

    assert [each.obj for each in facts.passed_over] == [future]
    assert len(facts.broken) == 1
    assert {each.name for each in judge(facts).reasons} == {
        "newer_package_does_not_count",
        "sidecar_broken",
    }


def test_orphans_are_named_and_not_removed(on_project: Project) -> None:
    run_here("backup")
    run_here("drill")
    assert gather.of_stores().orphans == []

    left = backup_settings().workspace / "backup-20200101T000000-aaaaa"
    left.mkdir(parents=True)

    assert gather.of_stores().orphans == [f"workspace:{left.name}"]
    assert left.is_dir()


def test_nothing_is_written(on_project: Project) -> None:
    run_here("backup")
    run_here("drill")
    Package.objects.all().delete()
    PackageVerdict.objects.all().delete()
    before = _contents(on_project), Run.objects.count(), Installation.objects.count()

    facts = gather.of_stores()

    assert facts.points[0].proven is not None, "what the copies in the store say"
    assert (_contents(on_project), Run.objects.count(), Installation.objects.count()) == before
    assert (Package.objects.count(), PackageVerdict.objects.count()) == (0, 0)


def _contents(project: Project) -> dict[str, bytes]:
    paths = [path for path in project.store.rglob("*") if path.is_file()]
    return {str(path.relative_to(project.store)): path.read_bytes() for path in paths}


def test_a_disk_needs_room_for_a_package_like_the_last_one(on_project: Project) -> None:
    package = run_here("backup").package
    size = (on_project.store / package).stat().st_size

    (disk,) = gather.of_stores().disks

    assert disk.needed == 2 * size, "workspace and store are on one disk"
    assert disk.free > 0


def test_a_store_that_can_not_be_listed_is_a_reason(on_project: Project) -> None:
    run_here("backup")
    on_project.store.rename(on_project.store.with_name("elsewhere"))
    on_project.store.write_text("a file where the folder should be")

    for facts in (gather.of_stores(), gather.of_index()):
        assert isinstance(facts, Facts)
        assert [each.obj for each in facts.unread] == ["backups"]
        assert judge(facts).light is Light.RED
    with pytest.raises(BackupError):
        last_good.survey()
