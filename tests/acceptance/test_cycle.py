"""The user's own words: back up, reset, restore; and all is as it was."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.contents import Contents, Rows, contents, control
from tests.services import EVERY_ENGINE, Project, Templates

BACKUP = ("snapshot", "dump", "pack", "verify", "fit", "prune")

SIGN_IN = """
from django.test import Client
client = Client(SERVER_NAME="localhost")
answers = [
    client.post("/login/", {"username": name, "password": "demo-1234-edms"}).status_code
    for name in ("guessed", "dan")
]
assert answers == [200, 302], answers
print(client.cookies["sessionid"].value)
"""


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """A demonstration EDMS that went through backup, reset and restore, and what it held when."""

    project: Project
    package: Path
    before: Contents
    control_before: dict[str, Rows]
    """When the backup had been made."""
    after_reset: Contents
    after: Contents
    control_after: dict[str, Rows]
    cookie: str
    """Of somebody who was signed in all the while."""
    backup: dict[str, Any]
    reset: dict[str, Any]
    restore: dict[str, Any]


@pytest.fixture(scope="module", params=EVERY_ENGINE)
def cycle(
    request: pytest.FixtureRequest,
    templates: Templates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cycle]:
    folder = tmp_path_factory.mktemp(f"cycle-{request.param}")
    project = templates.copy(request.param, folder, demo=True)
    package = folder / "x.tar.gz"
    cookie = project.succeed("shell", "--no-imports", "-c", SIGN_IN).stdout.strip()
    before = contents(project)
    backup = project.json("create_backup", "--type", "export", "--output", package)
    control_before = control(project)
    reset = project.json("system_reinit", "--confirm")
    after_reset = contents(project)
    restore = project.json("restore_from_package", package, "--type", "full", "--confirm")
    yield Cycle(
        project=project,
        package=package,
        before=before,
        control_before=control_before,
        after_reset=after_reset,
        after=contents(project),
        control_after=control(project),
        cookie=cookie,
        backup=backup,
        reset=reset,
        restore=restore,
    )
    templates.discard(project)


def test_documents_go_from_5_to_0_to_5(cycle: Cycle) -> None:
    """S3, S4, S7: the figures of the user's document, as --json tells them."""
    for answer in (cycle.backup, cycle.reset, cycle.restore):
        assert answer["ok"], answer["errors"]
    moments = [(cycle.backup, "before"), (cycle.reset, "after"), (cycle.restore, "after")]
    figures = {
        label: tuple(answer["counts"][label][moment] for answer, moment in moments)
        for label in ("documents.document", "workflows.documentworkflow", "users.user")
    }
    assert figures == {
        "documents.document": (5, 0, 5),
        "workflows.documentworkflow": (4, 0, 4),
        "users.user": (10, 2, 10),
    }
    files = tuple(answer["files"][moment] for answer, moment in moments)
    assert files == (5, 0, 5)


def test_every_row_of_every_table_is_what_it_was(cycle: Cycle) -> None:
    """F1, F5, F7, T1, T3, T15: primary keys, uuids, passwords, microseconds, groups and roles; read
    by the test itself, not by the code that claims it."""
    assert cycle.after.tables == cycle.before.tables
    assert sum(map(len, cycle.before.tables.values())) > 350


def test_every_file_has_the_bytes_it_had(cycle: Cycle) -> None:
    """F6."""
    assert len(cycle.before.files) == 5
    assert cycle.after.files == cycle.before.files


def test_columns_indexes_and_constraints_are_what_they_were(cycle: Cycle) -> None:
    assert cycle.after_reset.structure == cycle.before.structure
    assert cycle.after.structure == cycle.before.structure


def test_after_the_reset_only_the_defaults_are_left(cycle: Cycle) -> None:
    """F7: a reset that left rows would make any restore look well."""
    reset = cycle.after_reset
    assert reset.files == {}
    assert reset.count("users_user") == 2
    assert reset.count("documents_document") == reset.count("workflows_documentworkflow") == 0
    assert reset.count("audit_auditentry") == 0


def test_the_answer_names_every_model_with_its_figures_and_an_equal_digest(cycle: Cycle) -> None:
    """S5, S6, F4: expected against actual for every model, not for a chosen few."""
    counts = cycle.restore["counts"]
    tables = {name for name in cycle.before.tables if name != "django_migrations"}
    assert len(counts) == len(tables)
    for label, figures in counts.items():
        assert figures["after"] == figures["expected"], label
    assert set(cycle.restore["digests_equal"].values()) == {True}


def test_the_record_of_runs_survives_the_reset_and_the_restore(cycle: Cycle) -> None:
    """F10: the job does not lose its own record."""

    def of_the_backup(tables: dict[str, Rows]) -> Rows:
        return [
            row
            for table in ("backup_tasks_run", "backup_tasks_step", "backup_tasks_package")
            for row in tables[table]
            if cycle.backup["run"] in row
        ]

    assert len(of_the_backup(cycle.control_before)) == 1 + len(BACKUP)
    assert of_the_backup(cycle.control_after) == of_the_backup(cycle.control_before)
    assert len(cycle.control_after["backup_tasks_run"]) == 3


def test_who_was_signed_in_stays_signed_in(cycle: Cycle) -> None:
    """F10: the caller's session died mid-operation; T15: it holds the user's primary key."""
    assert len(cycle.control_before["django_session"]) == 1
    assert cycle.control_after["django_session"] == cycle.control_before["django_session"]
    code = f"""
from django.test import Client
client = Client()
client.cookies["sessionid"] = {cycle.cookie!r}
page = client.get("/admin/", headers={{"host": "localhost"}})
print(page.status_code, "<strong>Dan</strong>" in page.content.decode())
"""
    done = cycle.project.succeed("shell", "--no-imports", "-c", code)
    assert done.stdout.split() == ["200", "True"]


def test_who_guessed_a_password_does_not_begin_anew(cycle: Cycle) -> None:
    """The attempts are in no package, and a reset or restore does not forget them."""
    assert len(cycle.control_before["axes_accessattempt"]) == 1
    assert cycle.control_after["axes_accessattempt"] == cycle.control_before["axes_accessattempt"]


def test_the_reset_and_the_restore_leave_the_package_alone(cycle: Cycle) -> None:
    """F8: the predecessor's reset deleted the package that was to be restored."""
    done = cycle.project.json("verify_package", cycle.package)
    assert done["ok"]


WORK = """
import json
from django.test import Client
from edms.documents.models import Document, DocumentVersion
from edms.workflows.models import DocumentWorkflow
from edms.workflows import services
from edms.users.models import User

dan = Client(SERVER_NAME="localhost")
secrets = {"wrong password": "another", "login": "demo-1234-edms"}
answers = {
    which: dan.post("/login/", {"username": "dan", "password": secret}).status_code
    for which, secret in secrets.items()
}
page = dan.get("/admin/documents/document/")
version = DocumentVersion.objects.get(document__document_number="SOP-2026-0001")
workflow = DocumentWorkflow.objects.get(document__document_number="SOP-2026-0001")
move = services.pass_review(workflow, User.objects.get(username="ben"), "Clear.")
print(json.dumps({
    **answers,
    "numbers": [n for n in Document.objects.values_list("document_number", flat=True)
                if n in page.content.decode()],
    "file": version.file.name,
    "bytes": version.file.read().hex(),
    "sha256": version.sha256,
    "state": DocumentWorkflow.objects.get(pk=workflow.pk).state_id,
    "document": Document.objects.get(document_number="SOP-2026-0001").state_id,
    "move": move.pk,
}))
"""


def test_people_can_go_on_working(cycle: Cycle) -> None:
    """S11, T9: a restored user signs in with the old password, sees the documents, opens a file
    with the original's bytes, and moves a workflow on, which inserts rows behind the old ones."""
    done = cycle.project.succeed("shell", "--no-imports", "-c", WORK)

    seen = json.loads(done.stdout)
    assert seen["wrong password"] == 200
    assert seen["login"] == 302
    assert len(seen["numbers"]) == 5
    content = bytes.fromhex(seen["bytes"])
    assert content == cycle.before.files[seen["file"]]
    assert hashlib.sha256(content).hexdigest() == seen["sha256"]
    assert (seen["state"], seen["document"]) == ("reviewed", "reviewed")
    assert seen["move"] > len(cycle.before.tables["workflows_documenttransition"]) - 1
