"""Two people at once, on a server that lets them: who comes second waits, and then sees."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction

from edms.documents.errors import DocumentError
from edms.documents.models import Document, DocumentType
from edms.documents.numbering import next_number
from edms.documents.services import add_version
from edms.users.models import User
from edms.workflows import services
from edms.workflows.errors import MoveNotAllowed
from edms.workflows.signing import Meaning, Signing
from tests.services import Project

pytestmark = pytest.mark.parametrize("engine", ["postgres"])


def at_once(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, "Future[Any]"]:
    """Let `second` begin before `first` has committed, on a connection of its own."""

    def elsewhere() -> Any:
        try:
            return second()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other, transaction.atomic():
        done = first()
        waiting = other.submit(elsewhere)
        deadline = time.monotonic() + 30
        while not somebody_waits():
            assert not waiting.done(), "the second did not wait for the first"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return done, waiting


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def user(name: str) -> User:
    found: User = User.objects.get(username=name)
    return found


def signing(name: str, meaning: Meaning) -> Signing:
    return Signing(signer=user(name), meaning=meaning, time_zone="UTC")


def test_two_documents_get_two_numbers(on_demo_project: Project) -> None:
    kind = DocumentType.objects.get(code="SOP")
    first, second = at_once(lambda: next_number(kind), lambda: next_number(kind))
    assert first.startswith("SOP-")
    assert int(second.result()[-4:]) == int(first[-4:]) + 1


def test_a_file_does_not_reach_a_document_that_goes_to_review(on_demo_project: Project) -> None:
    policy = Document.objects.get(document_number="POL-2026-0001")
    eva, file = user("eva"), ContentFile(b"Late.\n", name="late.txt")
    _, upload = at_once(
        lambda: services.start_review(policy.workflows.get(), eva),
        lambda: add_version(policy, file, eva),
    )
    with pytest.raises(DocumentError, match="no draft"):
        upload.result()
    assert policy.versions.count() == 1


def test_of_two_revisions_at_once_one_takes_the_place(on_demo_project: Project) -> None:
    old = Document.objects.get(document_number="SOP-2025-0001")
    document = Document.objects.get(document_number="SOP-2026-0001")
    twin = Document.objects.get(document_number="WI-2026-0001")
    Document.objects.filter(pk=twin.pk).update(supersedes=old)
    workflows = [document.workflows.get(), twin.workflows.get()]
    services.pass_review(workflows[0], user("ben"))
    for workflow, name in zip(workflows, ("cleo", "gil"), strict=True):
        services.approve(workflow, user(name), signing(name, Meaning.APPROVED))

    dan, released = user("dan"), signing("dan", Meaning.RELEASED)
    _, second = at_once(
        lambda: services.make_effective(workflows[0], dan, released),
        lambda: services.make_effective(workflows[1], dan, released),
    )
    with pytest.raises(MoveNotAllowed, match="superseded meanwhile"):
        second.result()
    assert set(old.superseded_by.values_list("state", flat=True)) == {"effective", "approved"}
