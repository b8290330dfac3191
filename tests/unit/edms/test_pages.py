"""The pages: who sees what, and that they stay quick."""

from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.admin import site
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from edms.demo.drawing import squiggle
from edms.documents.models import AccessLog, Comment, Document, DocumentVersion
from edms.users.models import Signature, User
from edms.workflows.models import DocumentTransition
from tests.unit.edms.conftest import Demo


def status(client: Client, path: str) -> int:
    with closing(client.get(path)) as answer:
        return int(answer.status_code)


def file_of(demo: Demo, number: str) -> str:
    version = DocumentVersion.objects.get(document=demo.document(number))
    return f"/files/version/{version.pk}/"


def test_a_stranger_is_sent_to_sign_in(db: None) -> None:
    for path in ("/", "/documents/", "/documents/new/", "/files/version/1/"):
        answer = Client().get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/login/")


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("finn", "SOP-2025-0001", 200),  # effective: every role
        ("finn", "SOP-2026-0001", 403),  # under review: not his
        ("ben", "SOP-2026-0001", 200),  # its reviewer
        ("dan", "POL-2026-0001", 200),  # document control
        ("gil", "POL-2026-0001", 200),  # auditors
        ("ada", "POL-2026-0001", 403),
        ("system", "SOP-2025-0001", 302),  # may not sign in at all
    ],
)
def test_a_document_and_its_file_are_open_to_the_same_people(
    demo: Demo, name: str, number: str, expected: int
) -> None:
    client = demo.browser(name)
    assert status(client, f"/documents/{number}/") == expected
    assert status(client, file_of(demo, number)) == expected


def test_confidential_documents_are_open_to_the_labels_roles_only(demo: Demo) -> None:
    document = demo.document("POL-2026-0001")
    document.state_id = "effective"
    document.save()
    # The label can also be that of another document.
    other = demo.document("SOP-2025-0001")
    other.sensitivity, other.sensitivity_from = None, document
    other.save()
    for number in ("POL-2026-0001", "SOP-2025-0001"):
        assert status(demo.browser("finn"), f"/documents/{number}/") == 403
        assert status(demo.browser("cleo"), f"/documents/{number}/") == 200


def test_who_holds_no_role_sees_nothing(demo: Demo) -> None:
    nobody = User.objects.create_user("nobody")
    client = Client()
    client.force_login(nobody)
    assert status(client, "/documents/SOP-2025-0001/") == 403
    assert b"0 documents" in client.get("/documents/").content


def test_a_refusal_is_in_the_access_log(demo: Demo) -> None:
    demo.browser("finn").get(file_of(demo, "SOP-2026-0001"))
    entry = AccessLog.objects.latest("at")
    assert (entry.action, entry.user) == ("refused", demo.user("finn"))


def test_a_file_is_served_as_it_was_uploaded(demo: Demo) -> None:
    version = DocumentVersion.objects.get(document=demo.document("SOP-2025-0001"))
    with closing(demo.browser("finn").get(f"/files/version/{version.pk}/")) as answer:
        content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]  # of a FileResponse
    assert content.startswith(b"%PDF")
    assert len(content) == version.size
    assert answer.headers["Content-Type"] == "application/pdf"


def test_a_file_that_the_storage_lost_is_not_found(demo: Demo) -> None:
    version = DocumentVersion.objects.get(document=demo.document("SOP-2025-0001"))
    version.file.storage.delete(version.file.name)
    assert status(demo.browser("finn"), f"/files/version/{version.pk}/") == 404


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("q=control", ["SOP-2024-0001", "SOP-2025-0001", "SOP-2026-0001"]),
        ("q=control&state=effective", ["SOP-2025-0001"]),
        ("q=scales+calibration", ["WI-2026-0001"]),
        ("type=POL", ["POL-2026-0001"]),
        ("tag=training", ["SOP-2025-0001", "WI-2026-0001"]),
        ("department=PROD&type=WI", ["WI-2026-0001"]),
        ("state=no-such-state", []),
    ],
)
def test_the_list_is_searched_and_filtered(demo: Demo, query: str, numbers: list[str]) -> None:
    page = demo.browser("dan").get(f"/documents/?{query}").context["page"]
    assert [document.document_number for document in page] == numbers


def test_a_reader_can_not_move_a_document_by_a_direct_request(demo: Demo) -> None:
    for path in ("move", "retire", "versions", "review"):
        client = demo.browser("finn")
        answer = client.post(f"/documents/SOP-2026-0001/{path}/", {"to_state": "reviewed"})
        assert answer.status_code == 403, path
    assert demo.document("SOP-2026-0001").state_id == "under_review"


def test_an_upload_of_another_kind_is_refused(demo: Demo, tmp_path: Path) -> None:
    program = tmp_path / "run.exe"
    program.write_bytes(b"MZ")
    with program.open("rb") as file:
        answer = demo.browser("eva").post(
            "/documents/POL-2026-0001/versions/", {"file": file}, follow=True
        )
    assert "are not taken" in answer.content.decode()
    assert demo.document("POL-2026-0001").versions.count() == 1


def test_comments_are_threads_and_a_withdrawn_one_leaves_its_answers(demo: Demo) -> None:
    client = demo.browser("ben")
    path = "/documents/SOP-2026-0001/"
    client.post(f"{path}comments/", {"text": "An answer to Ada.", "parent": 2})
    thread = client.get(path).context["thread"]
    assert [(said.comment.ordinal, said.depth) for said in thread] == [
        (1, 0), (2, 1), (5, 2), (6, 2), (3, 0), (4, 1)
    ]  # fmt: skip
    assert "Nobody reads this." not in client.get(path).content.decode()
    assert Comment.everything.count() == Comment.objects.count() + 1


def test_only_its_author_withdraws_a_comment(demo: Demo) -> None:
    path = "/documents/SOP-2026-0001/comments/1/withdraw/"
    assert demo.browser("ada").post(path).status_code == 403
    assert demo.browser("ben").post(path).status_code == 302
    assert not Comment.objects.filter(ordinal=1).exists()


def test_the_number_of_queries_does_not_grow_with_the_data(demo: Demo) -> None:
    client = demo.browser("hana")

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert status(client, path) == 200
        return len(captured)

    paths = ("/", "/documents/", "/documents/SOP-2025-0001/", "/documents/SOP-2026-0001/")
    before = {path: queries(path) for path in paths}
    call_command("generate_documents", documents=200, users=10, verbosity=0)
    for text in ("One.", "Two.", "Three."):
        client.post("/documents/SOP-2026-0001/comments/", {"text": text, "parent": 1})
    for path in paths:
        assert queries(path) <= before[path] + 1, path
        assert before[path] <= 25, path


def test_a_title_that_is_confidential_is_not_shown_among_connected_documents(demo: Demo) -> None:
    page = "/documents/SOP-2025-0001/"
    assert "Information security policy" in demo.browser("dan").get(page).content.decode()
    assert "Information security policy" not in demo.browser("finn").get(page).content.decode()


def test_every_admin_page_opens_and_a_document_made_there_starts_its_workflow(demo: Demo) -> None:
    client = demo.browser("admin")
    for model, registered in site._registry.items():
        if model.__module__.startswith("edms."):
            base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            assert status(client, f"{base}?q=a" if registered.search_fields else base) == 200, base
            row = model._base_manager.first()
            if row is not None:
                assert status(client, f"{base}{row.pk}/change/") == 200, base
    answer = client.post(
        "/admin/documents/document/add/",
        {
            "document_number": "SOP-1999-0001",
            "title": "From the archive",
            "document_type": demo.document("SOP-2025-0001").document_type_id,
            "author": demo.user("ada").pk,
            "metadata": "{}",
            **{
                f"{formset}-{count}_FORMS": "0"
                for formset in ("versions", "attachments", "dependencies")
                for count in ("TOTAL", "INITIAL")
            },
        },
    )
    assert answer.status_code == 302, answer.context["errors"]
    assert demo.workflow("SOP-1999-0001").assignee == demo.user("ada")


def test_a_revision_supersedes_only_when_it_takes_effect(demo: Demo) -> None:
    """Until then only those who may read it know of it."""
    path = "/documents/SOP-2025-0001/"
    assert "SOP-2026-0001" not in demo.browser("finn").get(path).content.decode()
    assert "Revised by" in demo.browser("ben").get(path).content.decode()
    Document.objects.filter(document_number="SOP-2026-0001").update(state="effective")
    assert "Superseded by" in demo.browser("finn").get(path).content.decode()


def test_an_approval_shows_the_signature_that_there_was(demo: Demo) -> None:
    def page() -> str:
        return demo.browser("finn").get("/documents/SOP-2025-0001/").content.decode()

    assert 'alt="Signature of Cleo Marchetti"' in page()
    picture = SimpleUploadedFile("new.png", squiggle("new"))
    path = f"/admin/users/signature/{demo.user('cleo').pk}/change/"
    answer = demo.browser("admin").post(path, {"picture": picture})
    assert answer.status_code == 302, answer.context["errors"]
    assert bytes(Signature.objects.get(user__username="cleo").image) == squiggle("new")
    assert "Signature of" not in page(), "this one was drawn after the approval"


def test_a_signature_is_a_png(demo: Demo) -> None:
    path = f"/admin/users/signature/{demo.user('cleo').pk}/change/"
    for content in (b"<svg/>", squiggle("x") + bytes(100_000)):
        answer = demo.browser("admin").post(path, {"picture": SimpleUploadedFile("x.png", content)})
        assert "no PNG, or a large one" in answer.content.decode()


def test_the_audit_trail_of_a_document_of_somebody_else_begins_with_its_making(demo: Demo) -> None:
    trail = demo.browser("dan").get("/documents/WI-2026-0001/").context["trail"]
    assert [entry.action for entry in trail][-1] == "created"


def test_what_services_make_is_not_made_or_changed_by_hand(demo: Demo) -> None:
    """A file exchanged in the admin would no longer have the SHA-256 on record."""
    admin = demo.browser("admin")
    for model in (DocumentVersion, DocumentTransition):
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        row = model._base_manager.first()
        assert row is not None
        assert status(admin, f"{base}add/") == 403
        assert admin.post(f"{base}{row.pk}/change/", {}).status_code == 403
    assert status(admin, "/admin/workflows/documentworkflow/add/") == 403
    # A draft is deleted with all that belongs to it.
    draft = demo.document("POL-2026-0001")
    draft.dependents.all().delete()
    admin.post(f"/admin/documents/document/{draft.pk}/delete/", {"post": "yes"})
    assert not Document.objects.filter(pk=draft.pk).exists()
    assert AccessLog.objects.filter(document_id=draft.pk).exists()


def test_a_number_that_no_address_can_hold_is_refused(demo: Demo) -> None:
    document = demo.document("POL-2026-0001")
    document.document_number = "POL/1"
    with pytest.raises(ValidationError, match="addresses"):
        document.full_clean()
