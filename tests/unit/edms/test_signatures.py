"""Electronic signatures: who signed which file as what, and that this stays so."""

from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db.models import ProtectedError
from django.test import Client

from edms.audit.models import AuditEntry
from edms.demo import PASSWORD
from edms.documents.models import DocumentVersion
from edms.workflows import services
from edms.workflows.errors import Incomplete
from edms.workflows.models import ElectronicSignature
from tests.unit.edms.conftest import Demo

PAGE = "/documents/WI-2026-0001/"
"""Reviewed; Gil approves it."""


def command(*words: object) -> None:
    call_command(*map(str, words), stdout=StringIO(), stderr=StringIO())


def approve(client: Client, password: str) -> int:
    values = {"to_state": "approved", "password": password}
    return client.post(f"{PAGE}move/", values).status_code


@pytest.fixture
def gil(demo: Demo) -> Client:
    """The approver, with the demonstration's password as these tests hash it."""
    user = demo.user("gil")
    user.set_password(PASSWORD)
    user.save()
    return demo.browser("gil")


def of_gil() -> ElectronicSignature:
    found: ElectronicSignature = ElectronicSignature.objects.get(signer__username="gil")
    return found


def test_an_approval_is_signed_with_name_time_meaning_and_the_files_digest(
    demo: Demo, gil: Client
) -> None:
    assert approve(gil, PASSWORD) == 302

    signature, version = of_gil(), demo.document("WI-2026-0001").versions.get()
    assert signature.printed_name == "Gil Moreau (gil)"
    assert (signature.meaning, signature.version) == ("approved", version)
    assert (signature.version_number, signature.sha256) == ("0.1", version.sha256)
    assert signature.signed_at == signature.transition.made_at
    assert signature.local_time == f"{signature.signed_at:%Y-%m-%d %H:%M:%S}+00:00 UTC"
    page = gil.get(PAGE).content.decode()
    assert "Signed as “approved” by Gil Moreau (gil)" in page
    assert f"Version 0.1, SHA-256 {version.sha256}" in page
    assert AuditEntry.objects.latest("pk").target == signature


def test_the_time_is_shown_as_the_signer_saw_it(demo: Demo) -> None:
    page = demo.browser("finn").get("/documents/SOP-2025-0001/").content.decode()
    assert "2025-03-23 17:03:00+01:00 Europe/Berlin" in page


def test_without_the_password_nothing_moves(demo: Demo, gil: Client) -> None:
    for password in ("", "a guess"):
        approve(gil, password)
        assert demo.document("WI-2026-0001").state_id == "reviewed"
    assert not ElectronicSignature.objects.filter(signer__username="gil").exists()


def test_guesses_count_as_failed_attempts_to_sign_in(demo: Demo, gil: Client) -> None:
    assert [approve(gil, f"guess {number}") for number in range(5)] == [302, 302, 302, 302, 429]
    assert approve(gil, PASSWORD) == 429
    assert demo.document("WI-2026-0001").state_id == "reviewed"


def test_the_services_themselves_refuse_a_move_that_nobody_signed(demo: Demo) -> None:
    workflow, user = demo.workflow("WI-2026-0001"), demo.user("gil")
    for signing in (None, demo.signing("gil", "released"), demo.signing("dan", "approved")):
        with pytest.raises(Incomplete, match="signed as “approved”"):
            services.advance(workflow, "approved", user, signing=signing)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_is_not_the_one_on_record_is_not_signed(
    demo: Demo, gil: Client, is_there: bool
) -> None:
    version = demo.document("WI-2026-0001").versions.get()
    storage, name = version.file.storage, version.file.name
    storage.delete(name)
    if is_there:
        assert storage.save(name, ContentFile(b"Something else.")) == name

    answer = gil.post(f"{PAGE}move/", {"to_state": "approved", "password": PASSWORD}, follow=True)

    assert "can&#x27;t be signed" in answer.content.decode()
    assert demo.document("WI-2026-0001").state_id == "reviewed"


def test_a_release_signs_the_version_that_takes_effect(demo: Demo, gil: Client) -> None:
    approve(gil, PASSWORD)
    workflow = demo.workflow("WI-2026-0001")
    services.make_effective(workflow, demo.user("dan"), demo.signing("dan", "released"))

    numbers = ElectronicSignature.objects.filter(transition__workflow=workflow)
    assert list(numbers.values_list("meaning", "version_number")) == [
        ("approved", "0.1"),
        ("released", "1.0"),
    ]
    assert all(signature.is_in_place for signature in numbers)


def test_what_was_signed_can_not_be_deleted_nor_the_signature_changed(demo: Demo) -> None:
    document = demo.document("SOP-2025-0001")
    signature = ElectronicSignature.objects.filter(version__document=document).first()
    assert signature is not None
    move: Any = signature.transition
    for row in (document, signature.version, move, move.workflow, signature.signer):
        with pytest.raises(ProtectedError):
            row.delete()
    for change in (signature.save, signature.delete):
        with pytest.raises(TypeError, match="never"):
            change()
    with closing(
        demo.browser("admin").get(f"/admin/workflows/electronicsignature/{signature.pk}/delete/")
    ) as answer:
        assert answer.status_code == 403


def test_a_signature_that_was_moved_to_another_file_is_shown_as_such(demo: Demo) -> None:
    page = "/documents/SOP-2025-0001/"
    assert "not given for this move" not in demo.browser("finn").get(page).content.decode()
    other = DocumentVersion.objects.get(document__document_number="SOP-2024-0001")
    ElectronicSignature.objects.update(version=other)
    assert "not given for this move" in demo.browser("finn").get(page).content.decode()


def test_signatures_survive_backup_reset_and_restore(
    demo: Demo, gil: Client, tmp_path: Path
) -> None:
    """Each with its move, its file, its person, and its entry in the audit trail."""
    approve(gil, PASSWORD)
    before = list(ElectronicSignature.objects.order_by("pk").values())
    assert len(before) == 3

    package = tmp_path / "package.tar"
    command("create_backup", "--output", package)
    command("system_reinit", "--confirm", "--no-safety-backup")
    assert ElectronicSignature.objects.count() == 0
    command("restore_from_package", package, "--confirm", "--no-safety-backup")

    assert list(ElectronicSignature.objects.order_by("pk").values()) == before
    assert all(signature.is_in_place for signature in ElectronicSignature.objects.all())
    entries = AuditEntry.objects.filter(content_type__model="electronicsignature")
    assert [entry.target for entry in entries.order_by("pk")] == list(
        ElectronicSignature.objects.order_by("pk")
    )
