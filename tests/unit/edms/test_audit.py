"""The audit trail: every change, no change that was none."""

import io

import pytest
from django.core import serializers
from django.core.management import call_command

from edms.audit.actor import acting
from edms.audit.models import AuditEntry
from edms.configuration.models import SystemSetting
from edms.documents.models import Document
from tests.unit.edms.conftest import Demo


def test_a_change_is_recorded_with_raw_ids_before_and_after(demo: Demo) -> None:
    document = demo.document("POL-2026-0001")
    before, gil = document.reviewer_id, demo.user("gil")
    with acting(demo.user("dan")):
        document.reviewer = gil
        document.save()
    entry: AuditEntry = AuditEntry.objects.latest("at")
    assert entry.target == document
    assert entry.actor == demo.user("dan")
    assert entry.action == "changed"
    assert entry.changes == {"reviewer_id": [before, gil.pk]}


def test_saving_without_a_change_records_nothing(demo: Demo) -> None:
    count = AuditEntry.objects.count()
    demo.document("POL-2026-0001").save()
    assert AuditEntry.objects.count() == count


def test_a_deletion_keeps_what_was_there(db: None) -> None:
    made = SystemSetting.objects.create(key="colour", value={"name": "blue"})
    made.delete()
    entry = AuditEntry.objects.filter(object_name="colour").latest("pk")
    assert entry.action == "deleted"
    assert entry.changes["value"] == [{"name": "blue"}, None]


def test_a_password_is_never_in_the_trail(demo: Demo) -> None:
    user = demo.user("ada")
    user.set_password("something else")
    user.save()
    assert not AuditEntry.objects.filter(changes__has_key="password").exists()


def test_rows_loaded_as_they_were_are_no_changes(demo: Demo) -> None:
    """T8."""
    dumped = serializers.serialize(
        "json", Document.objects.all(), use_natural_foreign_keys=True, use_natural_primary_keys=True
    )
    count = AuditEntry.objects.count()
    for row in serializers.deserialize("json", dumped):
        row.save()
    assert AuditEntry.objects.count() == count


@pytest.mark.parametrize("natural", [True, False])
def test_djangos_own_dump_and_load_add_no_row(demo: Demo, natural: bool) -> None:
    """The natural keys work with the framework's own commands."""
    out = io.StringIO()
    options = {"use_natural_foreign_keys": natural, "use_natural_primary_keys": natural}
    call_command("dumpdata", "users", "documents", "workflows", stdout=out, **options)
    assert out.getvalue().count('"model": "documents.document"') == 5
