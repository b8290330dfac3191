"""Who may see the pages and who may start what: a permission of its own, never merely staff."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from backup_tasks.models import Package, Run
from tests.unit.admin.conftest import SignedIn

VIEWS = ("view_run", "view_step", "view_package", "view_undopoint")

BACKUP = ("run_back_up", "package_verify", "package_drill")
RESTORE = ("package_restore", "run_reset", "undopoint_undo", "run_resume", "run_cancel")


@pytest.fixture
def engine() -> str:
    """Permissions do not depend on the database."""
    return "sqlite"


@pytest.fixture
def url(package: Package, failed_restore: Run) -> Callable[[str], str]:
    """Call it with the name of a page for its address."""
    subjects = {
        "package_verify": package.pk,
        "package_drill": package.pk,
        "package_restore": package.pk,
        "package_change": package.pk,
        "run_resume": failed_restore.pk,
        "run_cancel": failed_restore.pk,
        "run_change": failed_restore.pk,
    }

    def address(name: str) -> str:
        subject = [subjects[name]] if name in subjects else []
        return reverse(f"admin:backup_tasks_{name}", args=subject)

    return address


def test_who_may_only_look_can_start_nothing(
    signed_in: SignedIn, url: Callable[[str], str]
) -> None:
    client = signed_in(*VIEWS)
    before = Run.objects.count()

    for name in (*BACKUP, *RESTORE):
        assert client.post(url(name)).status_code == 403, name
        assert client.get(url(name)).status_code == 403, name
    assert Run.objects.count() == before


def test_who_may_start_backups_can_not_touch_live(
    signed_in: SignedIn, url: Callable[[str], str]
) -> None:
    client = signed_in(*VIEWS, "start_backup")

    for name in RESTORE:
        assert client.post(url(name)).status_code == 403, name
        assert client.get(url(name)).status_code == 403, name


@pytest.mark.usefixtures("queue")
def test_what_starts_without_a_page_of_its_own_takes_a_post(
    signed_in: SignedIn, url: Callable[[str], str]
) -> None:
    client = signed_in("start_backup", "start_restore")
    before = Run.objects.count()

    for name in (*BACKUP, "run_resume", "run_cancel"):
        answer = client.get(url(name))
        assert (answer.status_code, answer["Location"] != url(name)) == (302, True), name
        assert client.get(answer["Location"]).status_code == 200, name
    assert Run.objects.count() == before


@pytest.mark.usefixtures("queue")
def test_a_post_without_the_form_s_token_is_refused(
    signed_in: SignedIn, url: Callable[[str], str]
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = signed_in("start_backup", "start_restore").cookies

    for name in (*BACKUP, *RESTORE, "package_refresh"):
        assert strict.post(url(name)).status_code == 403, name


def test_staff_without_a_permission_see_nothing(
    signed_in: SignedIn, url: Callable[[str], str]
) -> None:
    client = signed_in()

    for name in ("run_changelist", "run_change", "package_changelist", "package_change"):
        assert client.get(url(name)).status_code == 403, name


def test_who_is_not_staff_is_sent_to_sign_in(url: Callable[[str], str]) -> None:
    answer = Client().get(url("run_change"))

    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


def test_buttons_are_there_only_for_who_may_press_them(
    signed_in: SignedIn, url: Callable[[str], str]
) -> None:
    expected = {
        (): set(),
        ("start_backup",): {"backup-now", "backup-verify", "backup-drill"},
        ("start_restore",): {"backup-restore", "backup-resume"},
    }
    for permissions, buttons in expected.items():
        client = signed_in(*VIEWS, *permissions)
        pages = "".join(
            client.get(url(name)).content.decode()
            for name in ("run_changelist", "package_change", "run_change")
        )
        known = {"backup-now", "backup-verify", "backup-drill", "backup-restore", "backup-resume"}

        assert {name for name in known if f'id="{name}"' in pages} == buttons
        assert ("Reset…" in pages) == ("start_restore" in permissions)


def test_actions_on_many_packages_are_offered_only_to_who_may_start_backups(
    signed_in: SignedIn, url: Callable[[str], str]
) -> None:
    looks = signed_in(*VIEWS).get(url("package_changelist")).content.decode()
    starts = signed_in("start_backup").get(url("package_changelist")).content.decode()

    assert "verify_selected" not in looks
    assert "verify_selected" in starts


def test_nothing_can_be_added_changed_or_deleted_by_anybody(
    signed_in: SignedIn, failed_restore: Run, package: Package
) -> None:
    subjects = {
        "run": failed_restore.pk,
        "step": failed_restore.steps.get(name="fetch").pk,
        "package": package.pk,
        "undopoint": failed_restore.pk,
    }
    every = [f"{verb}_{name}" for verb in ("view", "add", "change", "delete") for name in subjects]
    client = signed_in(*every, "start_backup", "start_restore")

    for name, key in subjects.items():
        for verb in ("change", "delete"):
            page = reverse(f"admin:backup_tasks_{name}_{verb}", args=[key])
            answer = client.post(page, {"state": "succeeded", "post": "yes"})
            assert answer.status_code in (302, 403, 405), page
        assert client.get(reverse(f"admin:backup_tasks_{name}_add")).status_code == 403

    assert Run.objects.get(pk=failed_restore.pk).state == Run.State.FAILED
    assert Package.objects.filter(pk=package.pk).exists()
