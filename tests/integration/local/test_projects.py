"""The projects that tests get: whole, apart from each other, the same on every engine."""

import pytest

from tests.services import MakeProject, Project


def test_a_project_is_migrated_and_has_the_defaults_only(project: Project) -> None:
    assert project.evaluate("M['users.user'].objects.count()") == 2
    assert project.evaluate("M['documents.document'].objects.count()") == 0


def test_a_demonstration_project_has_its_rows_and_files(on_demo_project: Project) -> None:
    from edms.documents.models import Document, DocumentVersion

    assert Document.objects.count() == 5
    for version in DocumentVersion.objects.all():
        assert version.file.size == version.size
    assert sum(path.is_file() for path in on_demo_project.media.rglob("*")) == 5


def test_what_one_project_writes_no_other_sees(make_project: MakeProject, engine: str) -> None:
    one, other = make_project(engine, demo=True), make_project(engine, demo=True)

    one.evaluate("M['users.user'].objects.all().update(first_name='Changed')")

    assert one.evaluate("M['users.user'].objects.filter(first_name='Changed').count()") == 10
    assert other.evaluate("M['users.user'].objects.filter(first_name='Changed').count()") == 0


def test_this_process_and_the_projects_programs_see_the_same_database(
    on_project: Project, engine: str
) -> None:
    from django.db import connection

    from edms.users.models import User

    User.objects.create(username="made-here")

    assert connection.vendor.startswith(engine)
    assert on_project.evaluate("M['users.user'].objects.filter(username='made-here').count()") == 1


def test_an_instance_does_not_inherit_the_configuration_of_another(
    monkeypatch: pytest.MonkeyPatch, make_project: MakeProject
) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", "/nowhere")
    monkeypatch.setenv("BACKUP_RECIPIENTS", "somebody")

    environment = make_project("sqlite").env

    assert {"SECRET_KEY_FILE", "BACKUP_RECIPIENTS"}.isdisjoint(environment)
