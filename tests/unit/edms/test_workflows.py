"""The life of a document: who may do what, and what follows."""

from datetime import date

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile

from edms.defaults import seed
from edms.documents.errors import DocumentError, NotTheirs
from edms.documents.models import DocumentType
from edms.documents.numbering import next_number
from edms.documents.services import add_version
from edms.workflows import services
from edms.workflows.errors import Incomplete, MoveNotAllowed, NotYours
from edms.workflows.models import DocumentWorkflow
from edms.workflows.opening import open_document
from tests.unit.edms.conftest import Demo


@pytest.fixture
def opened(demo: Demo) -> DocumentWorkflow:
    """A new draft of Ada's, for Ben to review and Cleo to approve."""
    return open_document(
        by=demo.user("ada"),
        file=ContentFile(b"First.\n", name="first.txt"),
        title="Handling of labels",
        document_type=DocumentType.objects.get(code="SOP"),
        reviewer=demo.user("ben"),
        approver=demo.user("cleo"),
        supersedes=demo.document("SOP-2025-0001"),
    )


def to_approved(workflow: DocumentWorkflow, demo: Demo) -> None:
    services.start_review(workflow, demo.user("ada"))
    services.pass_review(workflow, demo.user("ben"))
    services.approve(workflow, demo.user("cleo"), demo.signing("cleo", "approved"))


def test_the_new_document_takes_the_place_of_the_old_one(
    opened: DocumentWorkflow, demo: Demo
) -> None:
    to_approved(opened, demo)
    services.make_effective(opened, demo.user("dan"), demo.signing("dan", "released"))
    document = demo.document(opened.document.document_number)
    assert document.state_id == "effective"
    assert document.effective_date is not None
    assert document.versions.get().number == "3.0"
    assert document.periodic_reviews.get().reviewer == demo.user("ben")
    old = demo.document("SOP-2025-0001")
    assert old.state_id == "superseded"
    assert old.workflows.get().transitions.last().to_state_id == "superseded"  # type: ignore[union-attr]  # it has five
    assert not old.periodic_reviews.filter(completed_at__isnull=True).exists()


def test_each_move_is_on_record_in_order(opened: DocumentWorkflow, demo: Demo) -> None:
    services.start_review(opened, demo.user("ada"))
    services.reject(opened, demo.user("ben"), "Not yet.")
    moves = opened.transitions.values_list("ordinal", "from_state", "to_state", "comment")
    assert list(moves) == [
        (1, "draft", "under_review", ""),
        (2, "under_review", "draft", "Not yet."),
    ]
    assert opened.assignee == demo.user("ada")


def test_people_are_told_when_it_is_their_turn(opened: DocumentWorkflow, demo: Demo) -> None:
    services.start_review(opened, demo.user("ada"))
    told = demo.user("ben").notifications.filter(document=opened.document)
    assert told.get().text.endswith("under review.")


def test_an_author_does_not_approve_their_own_document(
    opened: DocumentWorkflow, demo: Demo
) -> None:
    hana = demo.user("hana")
    services.start_review(opened, demo.user("ada"))
    services.pass_review(opened, demo.user("ben"))
    document = opened.document
    document.author, document.approver = hana, hana
    document.save()
    with pytest.raises(NotYours, match="Four eyes"):
        services.approve(opened, hana, demo.signing("hana", "approved"))


def test_a_superuser_stands_in_for_others_but_not_against_four_eyes(
    opened: DocumentWorkflow, demo: Demo
) -> None:
    admin = demo.user("admin")
    services.start_review(opened, admin)
    services.pass_review(opened, admin)
    opened.document.author = admin
    opened.document.save()
    with pytest.raises(NotYours, match="Four eyes"):
        services.approve(opened, admin, demo.signing("admin", "approved"))


@pytest.mark.parametrize("name", ["ada", "cleo", "finn", "gil"])
def test_only_the_reviewer_reviews(opened: DocumentWorkflow, demo: Demo, name: str) -> None:
    services.start_review(opened, demo.user("ada"))
    with pytest.raises(NotYours):
        services.pass_review(opened, demo.user(name))
    opened.refresh_from_db()
    assert opened.state_id == "under_review"
    assert opened.transitions.count() == 1


def test_a_role_that_has_ended_allows_nothing(opened: DocumentWorkflow, demo: Demo) -> None:
    services.start_review(opened, demo.user("ada"))
    ben = demo.user("ben")
    ben.role_assignments.update(valid_until="2024-12-31")
    with pytest.raises(NotYours, match="role"):
        services.pass_review(opened, ben)


def test_a_move_that_the_state_does_not_have_is_refused(
    opened: DocumentWorkflow, demo: Demo
) -> None:
    with pytest.raises(MoveNotAllowed, match="draft"):
        services.make_effective(opened, demo.user("dan"), demo.signing("dan", "released"))


def test_a_rejection_says_why(opened: DocumentWorkflow, demo: Demo) -> None:
    services.start_review(opened, demo.user("ada"))
    with pytest.raises(Incomplete, match="comment"):
        services.reject(opened, demo.user("ben"), "  ")


def test_a_document_without_a_file_is_not_reviewed(demo: Demo) -> None:
    workflow = open_document(
        by=demo.user("ada"),
        file=None,
        title="Empty",
        document_type=DocumentType.objects.get(code="WI"),
        reviewer=demo.user("ben"),
        approver=demo.user("cleo"),
    )
    with pytest.raises(Incomplete, match="no file"):
        services.start_review(workflow, demo.user("ada"))


def test_numbers_go_on_per_type_and_year(opened: DocumentWorkflow, demo: Demo) -> None:
    again = open_document(
        by=demo.user("ada"),
        file=None,
        title="Next",
        document_type=DocumentType.objects.get(code="SOP"),
    )
    first, second = (w.document.document_number.rsplit("-", 1) for w in (opened, again))
    assert first[0] == second[0]
    assert int(second[1]) == int(first[1]) + 1


def test_a_file_changes_only_in_a_draft_and_by_its_author(
    opened: DocumentWorkflow, demo: Demo
) -> None:
    file = ContentFile(b"Second.\n", name="second.txt")
    with pytest.raises(NotTheirs):
        add_version(opened.document, file, demo.user("ben"))
    assert add_version(opened.document, file, demo.user("ada")).number == "2.2"
    services.start_review(opened, demo.user("ada"))
    with pytest.raises(DocumentError, match="no draft"):
        add_version(opened.document, file, demo.user("ada"))


def test_a_document_is_retired_by_document_control(demo: Demo) -> None:
    document = demo.document("SOP-2025-0001")
    with pytest.raises(NotYours):
        services.make_obsolete(document, demo.user("ada"), "Old.")
    assert document.workflows.count() == 1
    services.make_obsolete(document, demo.user("dan"), "No longer made.")
    assert demo.document("SOP-2025-0001").state_id == "obsolete"


def test_a_confirmed_periodic_review_is_planned_again(demo: Demo) -> None:
    document = demo.document("SOP-2025-0001")
    review = document.periodic_reviews.get(completed_at__isnull=True)
    with pytest.raises(NotYours):
        services.complete_review(review, "confirmed", demo.user("finn"))
    services.complete_review(review, "confirmed", demo.user("ben"))
    planned = document.periodic_reviews.get(completed_at__isnull=True)
    assert planned.sequence == review.sequence + 1
    assert planned.due_date == demo.document("SOP-2025-0001").review_due


def test_of_two_revisions_only_one_takes_the_place(opened: DocumentWorkflow, demo: Demo) -> None:
    """Two documents in force for one subject would contradict each other."""
    to_approved(opened, demo)
    services.make_effective(opened, demo.user("dan"), demo.signing("dan", "released"))
    second = demo.workflow("SOP-2026-0001")
    services.pass_review(second, demo.user("ben"))
    services.approve(second, demo.user("cleo"), demo.signing("cleo", "approved"))
    with pytest.raises(MoveNotAllowed, match="SOP-2025-0001, which another"):
        services.make_effective(second, demo.user("dan"), demo.signing("dan", "released"))
    assert demo.document("SOP-2026-0001").state_id == "approved"


def test_numbers_begin_anew_in_another_year_and_for_another_type(db: None) -> None:
    seed("default")
    kinds = {kind.code: kind for kind in DocumentType.objects.all()}
    asked = [("SOP", 2031), ("SOP", 2031), ("SOP", 2032), ("FRM", 2031), ("SOP", 2031)]
    assert [next_number(kinds[code], date(year, 1, 1)) for code, year in asked] == [
        "SOP-2031-0001", "SOP-2031-0002", "SOP-2032-0001", "FRM-2031-0001", "SOP-2031-0003"
    ]  # fmt: skip


def test_a_label_is_inherited_over_one_document_only(demo: Demo) -> None:
    source, heir = demo.document("SOP-2025-0001"), demo.document("SOP-2026-0001")
    assert source.label is not None
    assert heir.label == source.label
    source.sensitivity, source.sensitivity_from = None, demo.document("POL-2026-0001")
    with pytest.raises(ValidationError, match="needs its own"):
        source.full_clean()
    policy = demo.document("POL-2026-0001")
    policy.sensitivity, policy.sensitivity_from = None, heir
    with pytest.raises(ValidationError, match="label of its own"):
        policy.full_clean()
