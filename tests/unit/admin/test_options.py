"""What can be chosen on the pages that the command line can choose too: of a backup, an undo, and
a prune, which says first what would go."""

from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from backup_tasks.models import Package, Run, UndoPoint
from backup_tasks.runs import chains
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, run_here

Queue = Callable[[], int]


@pytest.fixture
def operator(signed_in: SignedIn) -> Client:
    return signed_in("start_backup", "start_restore")


def address(name: str, *arguments: object) -> str:
    return reverse(f"admin:backup_tasks_{name}", args=arguments)


def told(client: Client, page: str) -> str:
    answer = client.get(page)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_a_backup_is_asked_for_what_was_chosen(operator: Client, queue: Queue) -> None:
    page = address("run_back_up_with")
    assert "What to back up" in told(operator, page)

    answer = operator.post(
        page,
        {
            "type": "database",
            "label": "before-upgrade",
            "include": "documents  users.User",
            "exclude": "",
            "compress": "gzip",
            "accept_missing_files": "on",
        },
    )

    run = Run.objects.get()
    assert answer.headers["Location"] == address("run_change", run.pk)
    assert (run.kind, run.trigger, queue()) == ("backup", "admin", 1)
    assert run.params == {
        **chains.PARAMS["backup"],
        "type": "database",
        "label": "before-upgrade",
        "include": ["documents", "users.User"],
        "compress": "gzip",
        "include_users": False,
        "accept_missing_files": True,
    }


def test_what_no_backup_can_be_asked_for_is_said_on_the_page(
    operator: Client, settings: Settings
) -> None:
    settings.BACKUP = {**settings.BACKUP, "REQUIRE_ENCRYPTION": True}
    answer = operator.post(
        address("run_back_up_with"), {"type": "full", "compress": "zstd", "include_users": "on"}
    )

    assert answer.status_code == 200
    assert "the package would be written in clear" in unescape(answer.content.decode())
    assert not Run.objects.exists()


def test_a_prune_shows_what_would_go_before_it_is_started(
    operator: Client, queue: Queue, package: Package
) -> None:
    assert 'id="backup-preview"' in told(operator, address("package_changelist"))
    operator.post(address("package_preview"))
    asked = Run.objects.get(kind="prune")
    assert (asked.params["dry_run"], queue()) == (True, 1)
    assert 'id="backup-prune"' not in told(operator, address("run_change", asked.pk))

    shown = run_here("prune", dry_run=True)
    page = told(operator, address("run_change", shown.pk))
    assert f'<th scope="row">{package.name}</th>' in page
    assert "stays" in page
    assert 'id="backup-prune"' in page
    assert Package.objects.filter(pk=package.pk).exists()

    operator.post(address("package_prune"))
    run = Run.objects.filter(kind="prune").latest("created_at")
    assert run.params["dry_run"] is False
    done = run_here("prune")
    assert 'id="backup-prune"' not in told(operator, address("run_change", done.pk))


@pytest.mark.parametrize("button", ["package_preview", "package_prune", "run_back_up_with"])
def test_it_takes_the_permission_to_back_up(
    signed_in: SignedIn, on_demo_project: Project, button: str
) -> None:
    client = signed_in("view_run", "view_package")

    assert client.post(address(button)).status_code == 403
    assert "Prune…" not in told(client, address("package_changelist"))
    assert not Run.objects.exists()


def test_an_undo_may_be_told_to_go_on_without_what_is_lost(
    operator: Client, queue: Queue, package: Package
) -> None:
    restored = run_here("restore", package=package.name, type="database")
    assert UndoPoint.objects.filter(run=restored).exists()
    page = address("undopoint_undo")
    assert "are lost" in told(operator, page)

    operator.post(page, {"typed": restored.pk, "accept_lost_structure": "on"})

    undo = Run.objects.get(kind="undo")
    assert undo.params["accept_lost_structure"] is True
    assert undo.params["accept_missing_files"] is False
