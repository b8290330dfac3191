"""What an empty system holds, and the demonstration."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.apps import apps
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db.models import AutoField

from edms import defaults
from edms.audit.models import AuditEntry
from edms.documents.models import Document, DocumentType, DocumentVersion
from edms.users.models import User
from edms.workflows.models import AllowedTransition, DocumentWorkflow
from tests.unit.edms.conftest import Demo


def figures() -> dict[str, int]:
    return {model._meta.label: model._base_manager.count() for model in apps.get_models()}


def test_an_empty_system_has_two_users_and_nothing_that_anybody_wrote(db: None) -> None:
    assert set(User.objects.values_list("username", flat=True)) == {"admin", "system"}
    assert not User.objects.get(username="system").is_active
    assert DocumentType.objects.count() == len(defaults.DOCUMENT_TYPES)
    assert AllowedTransition.objects.count() == len(defaults.TRANSITIONS)
    assert Document.objects.count() == 0
    assert AuditEntry.objects.count() == 0


def test_seeding_again_changes_nothing(db: None) -> None:
    DocumentType.objects.filter(code="SOP").update(name="Our own name")
    before = figures()
    defaults.seed("default")
    assert figures() == before
    assert DocumentType.objects.get(code="SOP").name == "Our own name"


def test_flush_leaves_the_defaults(db: None) -> None:
    """Django's `flush` sends `post_migrate` without what `migrate` sends along."""
    DocumentType.objects.all().delete()

    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")

    assert DocumentType.objects.exists()


def test_without_a_password_given_nobody_signs_in_as_admin(db: None) -> None:
    assert not User.objects.get(username="admin").has_usable_password()


def test_the_admins_password_may_be_given(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDMS_ADMIN_PASSWORD", "a long enough one")
    User.objects.filter(username="admin").delete()
    defaults.seed("default")
    assert User.objects.get(username="admin").check_password("a long enough one")


def test_the_demonstration_has_the_figures_that_are_promised(demo: Demo) -> None:
    assert User.objects.count() == 10
    assert Document.objects.count() == 5
    assert DocumentWorkflow.objects.count() == 4
    assert DocumentVersion.objects.count() == 5
    assert len(set(DocumentWorkflow.objects.values_list("state", flat=True))) == 4
    for version in DocumentVersion.objects.all():
        assert default_storage.size(version.file.name) == version.size


def test_the_demonstration_twice_is_the_demonstration_once(demo: Demo, tmp_path: Path) -> None:
    before, files = figures(), sorted(tmp_path.rglob("*.pdf"))
    call_command("seed_demo", verbosity=0)
    assert figures() == before
    assert sorted(tmp_path.rglob("*.pdf")) == files


def test_some_managers_come_after_their_people_and_a_chain_supersedes(demo: Demo) -> None:
    ada = demo.user("ada")
    assert ada.manager is not None
    assert ada.manager.pk > ada.pk
    newest = demo.document("SOP-2026-0001")
    assert newest.supersedes is not None
    assert newest.supersedes.supersedes == demo.document("SOP-2024-0001")


def test_every_model_of_the_edms_has_a_natural_key_that_finds_its_rows(demo: Demo) -> None:
    """S1."""
    ours = [model for model in apps.get_models() if model.__module__.startswith("edms.")]
    checked = 0
    for model in ours:
        assert not isinstance(model._meta.pk, AutoField) or (
            model._meta.pk.name not in model.natural_key_fields  # type: ignore[attr-defined]  # of the mixin
        )
        find: Callable[..., object] = model._default_manager.get_by_natural_key  # type: ignore[attr-defined]  # of the mixin
        for row in model._base_manager.all():
            key = row.natural_key()  # type: ignore[attr-defined]  # of the mixin
            assert find(*key) == row, model
            checked += 1
    assert checked > 100
