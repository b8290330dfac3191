"""Tables that are not where the list of tables says: their rows are never left out by accident."""

from collections.abc import Iterator

import pytest
from django.db import connection, models
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import isolate_apps
from pytest_django import DjangoDbBlocker

from backup_tasks.backup.contents import scope_of
from backup_tasks.conf import backup_settings
from backup_tasks.errors import Misconfigured
from backup_tasks.rows.missing_tables import refuse_rows_left_out
from backup_tasks.rows.scope import models_without_table
from edms.documents.models import Document
from tests.services import MakeProject, as_default_database


@pytest.fixture(autouse=True)
def inside(
    engine: str, make_project: MakeProject, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    with django_db_blocker.unblock(), as_default_database(make_project(engine)):
        yield


@isolate_apps("tests.testapp")
def model_over(table: str) -> type[models.Model]:
    """A model that no migration knows, with that table."""

    class Entry(models.Model):
        class Meta:
            app_label = "testapp"
            db_table = table

        def __str__(self) -> str:
            return str(self.pk)

    return Entry


OTHER_SCHEMAS: dict[str, tuple[list[str], str]] = {
    "sqlite": (["CREATE VIEW entry_view AS SELECT 1 AS id"], "entry_view"),
    "postgres": (["CREATE SCHEMA audit", "CREATE TABLE audit.entry (id int)"], 'audit"."entry'),
    "mariadb": (["CREATE VIEW entry_view AS SELECT 1 AS id"], "entry_view"),
}


def test_a_table_that_a_query_finds_and_the_list_does_not_is_an_error(engine: str) -> None:
    statements, table = OTHER_SCHEMAS[engine]
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)

    with pytest.raises(Misconfigured, match=r"testapp\.entry") as error:
        refuse_rows_left_out(connection, [model_over(table)])

    assert "EXCLUDE" in error.value.hint


def test_a_migrated_model_without_its_table_is_an_error_and_no_reason_to_leave_it_out(
    engine: str,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE documents_document_tags")

    with pytest.raises(Misconfigured, match=r"documents\.document_tags"):
        scope_of({}, backup_settings())


def test_a_model_whose_migration_was_never_applied_is_left_out_and_told(engine: str) -> None:
    tag = Document._meta.get_field("tags").related_model
    recorder = MigrationRecorder(connection)
    # With those that depend on them: what is applied has had what it depends on.
    recorder.migration_qs.filter(app__in=("documents", "workflows", "notices")).delete()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE documents_document_tags")

    scope = scope_of({}, backup_settings()).scope

    assert tag in scope.included
    (told,) = [line for line in models_without_table(scope) if "documents" in line]
    assert told.startswith("documents.document_tags is not in the package")
