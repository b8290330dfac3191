"""A button that is pressed after the session has ended leads back to its page, and does nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from backup_tasks.models import Package, PackagePin, Run
from edms.users.models import User


@pytest.fixture
def engine() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


@pytest.fixture
def page_of(package: Package, failed_restore: Run) -> Callable[[str], tuple[str, str]]:
    """Call it with a button's name: its address, and that of the page that has it."""
    of_package = reverse("admin:backup_tasks_package_change", args=[package.pk])
    of_run = reverse("admin:backup_tasks_run_change", args=[failed_restore.pk])
    pages = {
        "package_pin": (package.pk, of_package),
        "package_unpin": (package.pk, of_package),
        "package_verify": (package.pk, of_package),
        "package_drill": (package.pk, of_package),
        "run_resume": (failed_restore.pk, of_run),
        "run_cancel": (failed_restore.pk, of_run),
        "run_back_up": (None, reverse("admin:backup_tasks_run_changelist")),
        "package_refresh": (None, reverse("admin:backup_tasks_package_changelist")),
    }

    def find(name: str) -> tuple[str, str]:
        subject, page = pages[name]
        arguments = [] if subject is None else [subject]
        return reverse(f"admin:backup_tasks_{name}", args=arguments), page

    return find


@pytest.mark.parametrize(
    "name",
    [
        *("package_pin", "package_unpin", "package_verify", "package_drill"),
        *("run_resume", "run_cancel", "run_back_up", "package_refresh"),
    ],
)
def test_an_expired_session_comes_back_to_the_page_of_the_button(
    page_of: Callable[[str], tuple[str, str]], name: str
) -> None:
    User.objects.create_superuser("root", password="a long password")
    runs = Run.objects.count()
    button, page = page_of(name)
    client = Client()

    to_sign_in = client.post(button)["Location"]
    assert "/login/" in to_sign_in
    signed_in = client.post(to_sign_in, {"username": "root", "password": "a long password"})
    seen = client.get(signed_in["Location"], follow=True)

    assert seen.redirect_chain == [(page, 302)]
    assert seen.status_code == 200
    assert "press the button again" in seen.content.decode()
    assert Run.objects.count() == runs
    assert not PackagePin.objects.exists()
