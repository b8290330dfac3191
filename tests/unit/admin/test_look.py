"""Somebody who may download a package looks into it, and takes one file out."""

import hashlib
import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from backup_tasks.models import AuditEntry, Package
from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.signature import generate_key
from edms.documents.models import Document
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, run_here

PAGES = ("look", "look_rows", "look_row", "look_files")
DOCUMENTS = "?model=documents.document"


def address(package: Package, page: str = "look", query: str = "") -> str:
    return reverse(f"admin:backup_tasks_package_{page}", args=[package.pk]) + query


def read(client: Client, package: Package, page: str = "look", query: str = "") -> str:
    answer = client.get(address(package, page, query))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode()


def trail(what: str) -> list[dict[str, object]]:
    return [*AuditEntry.objects.filter(what=what).values_list("details", flat=True)]


@pytest.fixture
def client(signed_in: SignedIn) -> Client:
    return signed_in("view_package", "download_package")


def test_the_page_of_a_package_leads_to_its_models_with_rows_and_digests(
    client: Client, package: Package
) -> None:
    assert address(package) in client.get(address(package, "change")).content.decode()
    page = read(client, package)
    assert f">{Document.objects.count()}<" in page
    assert "documents.document" in page
    assert re.search(r'<code title="[0-9a-f]{64}">[0-9a-f]{12}</code>', page)


def test_no_other_permission_is_enough(signed_in: SignedIn, package: Package) -> None:
    client = signed_in("view_package", "start_backup", "start_restore")
    for page in PAGES:
        assert client.get(address(package, page, DOCUMENTS)).status_code == 403
    assert client.post(address(package, "look_take"), {"number": 1}).status_code == 403
    assert trail("looked into") == trail("file taken") == []


def test_a_row_is_found_by_its_key_and_shown_whole_and_the_audit_trail_says_so(
    client: Client, package: Package
) -> None:
    document = Document.objects.order_by("pk").last()
    assert document is not None
    key = document.document_number
    listed = read(client, package, "look_rows", f"{DOCUMENTS}&q={key.lower()}")
    link = re.search(rf'href="([^"]+)">{key}[^<]*</a>', listed)
    assert link is not None
    assert listed.count("/look/row/") == 1

    page = client.get(link[1].replace("&amp;", "&")).content.decode()

    assert document.title in page
    assert document.author.username in page  # by natural key
    assert [details.get("search") for details in trail("looked into")] == [None, key.lower()]
    assert {details["model"] for details in trail("looked into")} == {"documents.document"}


def test_long_lists_have_pages(
    client: Client, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_tasks.admin.package_contents.PAGE", 2)
    numbers: list[str] = []
    query: str | None = DOCUMENTS
    while query is not None:
        page = read(client, package, "look_rows", query)
        numbers += re.findall(r"number=(\d+)", page)
        following = re.search(r'id="backup-next" href="([^"]+)"', page)
        query = following[1].replace("&amp;", "&") if following else None
    assert numbers == [str(n) for n in range(1, Document.objects.count() + 1)]


def test_a_file_is_taken_out_as_it_was_packed(
    client: Client, package: Package, on_demo_project: Project
) -> None:
    page = read(client, package, "look_files", "?q=.pdf")
    names = re.findall(r'<th scope="row">([^<]+)</th>', page)
    numbers = re.findall(r'name="number" value="(\d+)"', page)
    assert names
    assert len(numbers) == len(names)

    answer = client.post(address(package, "look_take"), {"number": numbers[-1]})

    content = answer.getvalue()
    stored = next(on_demo_project.folder.rglob(Path(names[-1]).name)).read_bytes()
    assert content == stored
    assert hashlib.sha256(content).hexdigest() in page
    assert answer["Content-Disposition"].startswith("attachment")
    assert trail("file taken")[0]["file"] == names[-1]


def test_a_link_takes_nothing_and_what_is_not_there_is_not_found(
    client: Client, package: Package
) -> None:
    answer = client.get(address(package, "look_take"))
    assert answer.headers["Location"] == address(package, "look_files")
    assert client.post(address(package, "look_take"), {"number": 10**9}).status_code == 404
    for query in ("&number=0", "&number=x", "&number=1000000"):
        assert client.get(address(package, "look_row", DOCUMENTS + query)).status_code == 404
    assert "holds no such model" in read(client, package, "look_rows", "?model=no.such")
    assert trail("file taken") == []


def test_nothing_of_a_package_is_read_that_no_trusted_key_signed(
    client: Client, package: Package, settings: Settings, on_demo_project: Project
) -> None:
    settings.BACKUP = {**settings.BACKUP, "TRUSTED_KEYS": [generate_key()[1]]}
    (on_demo_project.store / package.name).write_bytes(bytes(package.size))
    for page in PAGES:
        told = read(client, package, page, DOCUMENTS)
        assert "the package is not signed" in told
    assert trail("looked into") == []


def test_a_package_that_was_altered_or_replaced_is_not_shown(
    client: Client, package: Package, on_demo_project: Project
) -> None:
    path = on_demo_project.store / package.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "does not have the SHA-256 of its sidecar" in read(client, package)

    Package.objects.update(sha256="0" * 64)
    assert "another package of that name" in read(client, package)


def test_an_encrypted_package_needs_an_identity_that_the_server_has(
    client: Client, settings: Settings, on_demo_project: Project, tmp_path: Path
) -> None:
    identity, recipient = generate_identity()
    settings.BACKUP = {**settings.BACKUP, "RECIPIENTS": [recipient]}
    package = Package.objects.get(name=run_here("backup").package)
    page = read(client, package, "look_rows", DOCUMENTS)
    assert "there is no identity here to open it with" in page
    assert "IDENTITIES" in page

    file = tmp_path / "identity"
    file.write_text(identity)
    settings.BACKUP = {**settings.BACKUP, "IDENTITIES": [file]}
    assert "/look/row/" in read(client, package, "look_rows", DOCUMENTS)
    assert [*on_demo_project.folder.rglob("dry-run-*")] == []


def test_a_package_that_is_too_large_for_a_page_is_left_to_the_command(
    client: Client, package: Package, settings: Settings
) -> None:
    settings.BACKUP = {**settings.BACKUP, "LOOK_LIMIT": 1000}
    page = read(client, package)
    assert "show_package" in page
    assert "LOOK_LIMIT" in page


def test_the_command_shows_the_same_and_takes_the_file_out(
    package: Package, tmp_path: Path
) -> None:
    def show(*options: str) -> Any:
        out = StringIO()
        try:
            call_command("show_package", package.name, "--json", *options, stdout=out)
        except CommandError as error:
            return error.returncode
        return json.loads(out.getvalue())

    assert show()["models"]["documents.document"]["rows"] == Document.objects.count()
    number = Document.objects.values_list("document_number", flat=True)[0]
    rows = show("--model", "documents.Document", "--key", number)["rows"]
    assert [row["key"] for row in rows] == [number]
    file = show("--files", "--limit", "1")["files"][0]
    output = tmp_path / "taken"
    assert show("--take", file["name"], "--output", str(output))["sha256"] == file["sha256"]
    assert hashlib.sha256(output.read_bytes()).hexdigest() == file["sha256"]
    assert [details["file"] for details in trail("file taken")] == [file["name"]]
    assert show("--take", file["name"], "--output", str(output)) == 1  # it is there already
    assert show("--take", "nowhere", "--output", str(output)) == 8
    assert show("--key", "x") == 2
