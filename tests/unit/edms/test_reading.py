"""“Read and understood”: people are asked to read a document, and confirm that they have."""

from contextlib import closing

import pytest
from django.test import Client

from edms.audit.models import AuditEntry
from edms.workflows import reading, services
from edms.workflows.errors import Incomplete, NotYours
from edms.workflows.models import ReadingTask
from edms.workflows.opening import open_document
from tests.unit.edms.conftest import Demo

NUMBER = "SOP-2025-0001"
PAGE = f"/documents/{NUMBER}/"


def read_it(client: Client, pk: int) -> None:
    with closing(client.get(f"/files/version/{pk}/")) as answer:
        assert answer.status_code == 200


def task_of(demo: Demo, name: str, number: str = NUMBER) -> ReadingTask:
    found: ReadingTask = demo.document(number).reading_tasks.get(reader__username=name)
    return found


def test_a_reader_opens_the_file_and_confirms(demo: Demo) -> None:
    services_by = demo.user("dan")
    reading.assign(demo.document(NUMBER), [demo.user("ben")], services_by)
    ben, version = demo.browser("ben"), demo.document(NUMBER).versions.get()
    assert "Read and confirm" in ben.get("/").content.decode()

    answer = ben.post(f"{PAGE}read/", follow=True)
    assert "you have not looked at it yet" in answer.content.decode()
    read_it(ben, version.pk)
    ben.post(f"{PAGE}read/")

    task = task_of(demo, "ben")
    assert task.confirmed_at is not None
    assert task.sha256 == version.sha256
    assert AuditEntry.objects.latest("pk").target == task
    assert "Read and confirm" not in ben.get("/").content.decode()
    assert "3 of 4 confirmed" in ben.get(PAGE).content.decode()


def test_nobody_confirms_for_another(demo: Demo) -> None:
    assert demo.browser("ben").post(f"{PAGE}read/").status_code == 404
    with pytest.raises(NotYours):
        reading.confirm(task_of(demo, "finn"), demo.user("ben"))


def test_people_are_told_when_the_document_is_released_and_not_before(demo: Demo) -> None:
    document, finn = demo.document("WI-2026-0001"), demo.user("finn")
    reading.assign(document, [finn], demo.user("eva"))
    assert not finn.notifications.filter(document=document).exists()
    assert not reading.open_tasks(finn).filter(document=document).exists()

    workflow = demo.workflow("WI-2026-0001")
    services.approve(workflow, demo.user("gil"), demo.signing("gil", "approved"))
    services.make_effective(workflow, demo.user("dan"), demo.signing("dan", "released"))

    assert finn.notifications.get(document=document).text.startswith("Please read and confirm")
    assert reading.open_tasks(finn).filter(document=document).exists()


def test_a_document_that_is_no_longer_in_effect_is_not_read(demo: Demo) -> None:
    services.make_obsolete(demo.document(NUMBER), demo.user("dan"), "Old.")
    assert not reading.open_tasks(demo.user("finn")).exists()


@pytest.mark.parametrize(("name", "expected"), [("dan", 302), ("ada", 403), ("finn", 403)])
def test_document_control_says_who_reads_what_is_released(
    demo: Demo, name: str, expected: int
) -> None:
    answer = demo.browser(name).post(f"{PAGE}readers/", {"department": "QA"})
    assert answer.status_code == expected
    assert demo.document(NUMBER).reading_tasks.count() == (7 if expected == 302 else 3)


def test_the_author_says_it_until_then(demo: Demo) -> None:
    page = "/documents/POL-2026-0001/"
    eva = demo.browser("eva")
    assert f"{page}readers/" in eva.get(page).content.decode()
    assert "Ask them" in eva.get(f"{page}readers/").content.decode()
    assert eva.post(f"{page}readers/", {"people": ["cleo", "hana"]}).status_code == 302
    assert demo.document("POL-2026-0001").reading_tasks.count() == 2
    assert eva.post(f"{page}readers/cleo/remove/").status_code == 302
    assert demo.document("POL-2026-0001").reading_tasks.get().reader == demo.user("hana")


def test_nobody_is_asked_to_read_what_is_closed_to_them(demo: Demo) -> None:
    """The label admits approvers and document control; nobody is added, the others neither."""
    policy = demo.document("POL-2026-0001")
    with pytest.raises(Incomplete, match="not open to Finn"):
        reading.assign(policy, [demo.user("cleo"), demo.user("finn")], demo.user("eva"))
    assert not policy.reading_tasks.exists()


def test_what_was_confirmed_stays_on_record(demo: Demo) -> None:
    with pytest.raises(Incomplete, match="stays on record"):
        reading.unassign(task_of(demo, "gil"), demo.user("dan"))


def test_a_revision_is_read_by_the_same_people_anew(demo: Demo) -> None:
    old = demo.document(NUMBER)
    revision = open_document(
        by=demo.user("ada"),
        file=None,
        title=old.title,
        document_type=old.document_type,
        supersedes=old,
    ).document
    tasks = revision.reading_tasks.order_by("reader__username")
    assert [task.reader.username for task in tasks] == ["eva", "finn", "gil"]
    assert not tasks.filter(confirmed_at__isnull=False).exists()
