"""The buttons: what they start, what they record, and what they say when they can't."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from backup_tasks import ledger
from backup_tasks.admin import starting
from backup_tasks.admin.confirmation import PromoteConfirmation
from backup_tasks.conf import backup_settings
from backup_tasks.models import Package, Run
from backup_tasks.runs import chains
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, path_of, run_here


@pytest.fixture
def engine() -> str:
    """The ledger has tests of its own on each database."""
    return "sqlite"


@pytest.fixture
def operator(signed_in: SignedIn) -> Client:
    """May do everything."""
    return signed_in("start_backup", "start_restore")


def page(name: str, *arguments: object) -> str:
    return reverse(f"admin:backup_tasks_{name}", args=arguments)


def started() -> Run:
    """The run that was started last."""
    run = Run.objects.order_by("-created_at").first()
    assert run is not None
    return run


def user_of(client: Client) -> str:
    return str(client.get(page("run_changelist")).context["user"])


def test_back_up_now_hands_a_run_to_the_workers_and_shows_it(
    operator: Client, queue: Callable[[], int]
) -> None:
    answer = operator.post(page("run_back_up"))

    run = started()
    assert answer["Location"] == page("run_change", run.pk)
    assert (run.kind, run.trigger, run.on_workers) == ("backup", "admin", True)
    assert run.requested_by == user_of(operator)
    assert queue() == 1
    assert "Waiting for a worker." in operator.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(("button", "kind"), [("verify", "verify"), ("drill", "drill")])
def test_a_package_is_verified_and_drilled_at_a_press(
    button: str, kind: str, operator: Client, package: Package, queue: Callable[[], int]
) -> None:
    operator.post(page(f"package_{button}", package.pk))

    assert (started().kind, started().params["package"]) == (kind, package.name)
    assert queue() == 1


def test_many_packages_are_verified_at_once(operator: Client, queue: Callable[[], int]) -> None:
    names = {run_here("backup").package for _ in range(2)}
    chosen = list(Package.objects.values_list("pk", flat=True))

    answer = operator.post(
        page("package_changelist"),
        {"action": "verify_selected", "_selected_action": chosen},
        follow=True,
    )

    runs = Run.objects.filter(kind="verify")
    assert {run.params["package"] for run in runs} == names
    assert queue() == 2
    for run in runs:
        assert page("run_change", run.pk) in answer.content.decode()


def test_a_restore_with_another_name_typed_is_refused(
    operator: Client, package: Package, queue: Callable[[], int]
) -> None:
    for typed in ("", "yes", package.name[:-1], package.name.upper()):
        form = {"typed": typed, "type": "full"}
        answer = operator.post(page("package_restore", package.pk), form)
        assert "nothing was started" in answer.content.decode()

    assert not Run.objects.filter(kind="restore").exists()
    assert queue() == 0


def test_a_restore_with_the_package_s_name_typed_starts(
    operator: Client, package: Package, queue: Callable[[], int]
) -> None:
    typed = {"typed": f" {package.name} ", "type": "database"}

    answer = operator.post(page("package_restore", package.pk), typed)

    run = started()
    assert answer["Location"] == page("run_change", run.pk)
    assert run.kind == "restore"
    assert (run.params["package"], run.params["type"]) == (package.name, "database")
    assert run.params["safety"] is True
    assert queue() == 1


def test_a_reset_takes_the_project_s_name(operator: Client, queue: Callable[[], int]) -> None:
    refused = operator.post(page("run_reset"), {"typed": "yes"})

    assert "nothing was started" in refused.content.decode()
    assert queue() == 0

    operator.post(page("run_reset"), {"typed": backup_settings().project})

    assert started().kind == "reinit"
    assert queue() == 1


def test_an_undo_takes_the_name_of_the_run_that_is_undone(
    operator: Client, package: Package, queue: Callable[[], int]
) -> None:
    restore = run_here("restore", package=package.name)
    assert restore.pk in operator.get(page("undopoint_undo")).content.decode()

    operator.post(page("undopoint_undo"), {"typed": "yes"})
    assert started() == restore

    operator.post(page("undopoint_undo"), {"typed": restore.pk})
    assert started().kind == "undo"
    assert queue() == 1


def test_where_tables_are_published_a_person_can_say_that_the_publications_go_on() -> None:
    """Such as PostgreSQL's; elsewhere there is nothing to tick."""
    form = PromoteConfirmation(
        {"typed": "x", "republish": "on"}, expected="x", what="x", publications=["sky"]
    )
    assert form.is_valid()
    assert form.params() == {"republish": True}
    assert "publications sky name the new tables" in form.as_p()
    assert "republish" not in PromoteConfirmation(expected="x", what="x", publications=()).fields


def test_where_nothing_can_be_undone_nothing_is_asked_for(
    operator: Client, queue: Callable[[], int]
) -> None:
    answer = operator.post(page("undopoint_undo"), {"typed": ""})

    assert "There is nothing to undo" in answer.content.decode()
    assert 'name="typed"' not in answer.content.decode()
    assert queue() == 0


def test_a_second_run_that_writes_to_live_is_refused_with_the_name_of_the_first(
    operator: Client, package: Package, queue: Callable[[], int]
) -> None:
    first = chains.start("reinit", trigger="command", on_workers=True)

    asked = operator.get(page("package_restore", package.pk)).content.decode()
    answer = operator.post(
        page("package_restore", package.pk), {"typed": package.name, "type": "full"}, follow=True
    )

    assert first.pk in asked
    (message,) = [str(message) for message in answer.context["messages"]]
    assert page("run_change", first.pk) in message
    assert "cancel_run" in message  # the hint
    assert started() == first
    assert queue() == 0


@pytest.mark.usefixtures("no_broker")
def test_without_a_broker_nothing_is_started_and_the_message_says_so(
    operator: Client, package: Package
) -> None:
    before = Run.objects.count()

    backup = operator.post(page("run_back_up"), follow=True).content.decode()
    restore = operator.post(
        page("package_restore", package.pk), {"typed": package.name, "type": "full"}, follow=True
    ).content.decode()

    for answer, command in ((backup, "create_backup"), (restore, "restore_from_package")):
        assert "the message broker does not answer" in answer
        assert "Nothing was started" in answer
        assert command in answer
    assert Run.objects.count() == before


@pytest.mark.usefixtures("no_broker")
def test_a_run_that_can_not_be_resumed_for_want_of_a_broker_stays_as_it_was(
    operator: Client, failed_restore: Run
) -> None:
    answer = operator.post(page("run_resume", failed_restore.pk), follow=True)

    assert "the message broker does not answer" in answer.content.decode()
    assert ledger.find(failed_restore.pk).state == Run.State.FAILED


def test_a_broker_that_goes_away_in_between_leaves_no_run_dangling(
    operator: Client, no_broker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker answers when it is asked, and not any more when the chain is published."""
    monkeypatch.setattr(starting, "must_reach_workers", lambda hint: None)

    answer = operator.post(page("run_back_up"), follow=True)

    run = started()
    assert run.state == Run.State.FAILED
    assert run.error is not None
    assert run.error["hint"] == "Start the broker, then press Resume on the run's page."
    assert "the broker does not answer" in answer.content.decode()
    assert "Backup started" not in answer.content.decode()
    assert "Resume from step snapshot" in answer.content.decode()


def test_a_failed_run_is_resumed_on_the_workers(
    operator: Client, failed_restore: Run, queue: Callable[[], int]
) -> None:
    operator.post(page("run_resume", failed_restore.pk))

    run = ledger.find(failed_restore.pk)
    assert (run.state, run.on_workers) == (Run.State.PENDING, True)
    assert queue() == 1


def test_an_active_run_is_cancelled_by_name(operator: Client, queue: Callable[[], int]) -> None:
    operator.post(page("run_back_up"))

    operator.post(page("run_cancel", started().pk))

    assert started().state == Run.State.CANCELLED
    assert f"cancelled by {user_of(operator)}" in str(started().error)


def test_a_run_that_has_ended_can_not_be_cancelled_and_says_why(
    operator: Client, failed_restore: Run
) -> None:
    answer = operator.post(page("run_cancel", failed_restore.pk), follow=True)

    assert "the run has ended already: it failed" in answer.content.decode()


@pytest.mark.parametrize("name", ["run_resume", "run_cancel"])
def test_a_run_that_does_not_exist_is_not_found(name: str, operator: Client) -> None:
    assert operator.post(page(name, "backup-of-nowhere")).status_code == 404


def test_the_stores_are_read_anew_and_what_is_broken_is_shown(
    operator: Client, package: Package, on_demo_project: Project
) -> None:
    path_of(package, on_demo_project).write_bytes(b"cut")
    Package.objects.create(
        name="gone.tar.zst",
        store="backups",
        package_id="x",
        label="",
        type="full",
        size=1,
        sha256="",
        encrypted=False,
        signed=False,
        rows=0,
        files=0,
        created_at=package.created_at,
    )

    answer = operator.post(page("package_refresh"), follow=True).content.decode()

    assert not Package.objects.exists()
    assert "Not to be counted on" in answer
    assert package.name in answer
