"""The life of a document through the web pages, also across a reset and restore of the system."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from edms.demo import PASSWORD
from tests.acceptance.admin_browser import browser as chromium
from tests.acceptance.admin_browser import web_server
from tests.acceptance.edms_browser import Person
from tests.services import MakeProject, Project, given

OLD = "SOP-2025-0001"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    for window in given(chromium("")):
        yield window.driver


def a_file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def newest_file(person: Person) -> str:
    """Path of the newest version's file, on the document's page."""
    link = person.find("#versions a").get_attribute("href")
    assert link is not None
    return link.removeprefix(person.address)


def revise(person: Person, file: str) -> str:
    """Ada writes what takes the place of the effective document; returns its number."""
    person.sign_in("ada")
    person.open(f"/documents/{OLD}/")
    person.follow("Revise")
    person.fill("reviewer", "Ben")
    person.fill("approver", "Cleo")
    person.fill("tag_names", "quality, new")
    person.fill("file", file)
    person.press("Save as draft")
    assert person.state == "Draft"
    return person.find("#number").text


def backup_reset_restore(project: Project) -> None:
    package = project.folder / "x.tar.gz"
    project.succeed("create_backup", "--type", "export", "--output", package)
    project.succeed("system_reinit", "--confirm")
    assert project.evaluate('M["documents.document"].objects.count()') == 0
    project.succeed("restore_from_package", package, "--type", "full", "--confirm")


def live(person: Person, folder: Path, concurrent_writes: Callable[[], None]) -> None:
    """From the first draft to taking effect; `meanwhile` happens while Ada works on the second."""
    new = revise(person, a_file(folder, "first.txt", "First attempt – größer.\n"))
    page = f"/documents/{new}/"
    person.press("Send to review")
    assert person.state == "Under review"

    # Finn holds no role for documents at work: neither the page nor the file's own address.
    file = newest_file(person)
    person.sign_in("finn")
    assert person.fetch(page)[0] == 403
    assert person.fetch(file)[0] == 403

    person.sign_in("ben")
    assert new in person.find("#task-list").text
    person.open(page)
    assert person.buttons == ["Pass review", "Reject"]
    person.press("Reject", comment="Chapter 2 is missing.")
    assert person.state == "Draft"

    person.sign_in("ada")
    assert "Chapter 2 is missing." in person.text
    person.open(page)
    person.fill("file", a_file(folder, "second.txt", "Second attempt, with chapter 2.\n"))
    person.fill("change_summary", "Chapter 2 added.")
    person.press("Upload version")
    assert re.findall(r"\b2\.\d\b", person.find("#versions").text) == ["2.2", "2.1"]
    assert person.fetch(newest_file(person)) == (200, "Second attempt, with chapter 2.\n")

    concurrent_writes()

    # Ada's session is the same, and so are the files, the state and what she may do next.
    person.open(page)
    assert person.fetch(newest_file(person)) == (200, "Second attempt, with chapter 2.\n")
    assert person.fetch(file) == (200, "First attempt – größer.\n")
    assert person.state == "Draft"
    person.press("Send to review")
    person.sign_in("ben")
    assert new in person.find("#task-list").text
    person.open(page)
    person.press("Pass review")
    assert person.buttons == [], "Ben reviewed it; he does not approve it too"

    person.sign_in("cleo")
    person.open(page)
    person.press("Approve", password="a guess")
    assert (person.state, "Nothing was signed" in person.text) == ("Reviewed", True)
    person.press("Approve", password=PASSWORD)
    assert "Signed as “approved” by Cleo Marchetti (cleo)" in person.text
    person.sign_in("dan")
    person.open(page)
    person.press("Make effective", password=PASSWORD)

    assert person.state == "Effective"
    assert "3.0 second.txt" in person.find("#versions").text
    person.open(f"/documents/{OLD}/")
    assert person.state == "Superseded"
    person.sign_in("finn")
    assert person.fetch(file)[0] == 200, "what is effective is open to every role"

    # He was asked to read the document that this one revises, so he reads this one too.
    person.open("/")
    assert f"{new} Control of documents Read and confirm" in person.find("#task-list").text
    person.open(page)
    assert person.buttons == ["I have read and understood it"]
    person.press("I have read and understood it")
    assert "you have not looked at it yet" in person.text
    assert person.fetch(newest_file(person))[0] == 200
    person.press("I have read and understood it")
    assert person.buttons == []
    assert "1 of 3 confirmed" in person.text


def test_a_document_is_written_rejected_reviewed_approved_and_takes_effect(
    make_project: MakeProject, browser: Chrome, tmp_path: Path
) -> None:
    with web_server(make_project("sqlite", demo=True)) as address:
        live(Person(browser=browser, address=address), tmp_path, lambda: None)


def test_a_reset_and_restore_in_the_middle_changes_nothing_for_the_people_at_work(
    demo_project: Project, browser: Chrome, tmp_path: Path
) -> None:
    """S8 (workflow states), S11."""
    with web_server(demo_project) as address:
        person = Person(browser=browser, address=address)
        live(person, tmp_path, lambda: backup_reset_restore(demo_project))
