"""Packages of format 1 are restored for ever: every awkward row, on the database that it came from
and on another one."""

import codecs
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.test.utils import isolate_apps
from pytest_django import DjangoDbBlocker

from backup_tasks.engines import engine_for
from backup_tasks.restore.contents import line_format_of
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.line_format import LineFormat
from backup_tasks.rows.natural_keys import Identity
from tests.integration.rows.conftest import ROUTES
from tests.integration.rows.tables import dumped, made
from tests.integration.rows.transfer import Row, awkward_models, transfer_rows
from tests.services import Project, as_default_database
from tests.testapp.unkind import Encrypted, ToTheCent, ToTheSecond

KEPT = Path(__file__).parent / "data"


@pytest.mark.parametrize("route", [*ROUTES, "mariadb → mariadb"])
def test_every_row_of_a_kept_package_comes_back(
    route: str,
    zoos: Callable[[str], Project],
    awkward_project: Callable[..., Project],
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    source, _, target = route.partition(" → ")
    package = KEPT / f"zoo-of-format-1-{source}.tar.zst"
    with django_db_blocker.unblock():
        today, project = zoos(source), awkward_project(target, populated=False)
        restored = transfer_rows(today, project, tmp_path, kept=package)
        before, after = kinds_named(today, restored.before), kinds_named(project, restored.after)

    assert restored.manifest.format == line_format_of(restored.manifest).number == 1
    equal = {
        label: figures["digest_equal"]
        for label, figures in restored.report["models"].items()
        if label.startswith("testapp.")
    }
    assert len(equal) > 40
    assert {k for k, v in equal.items() if v is not True} == set()
    if source == target:
        theirs = {"testapp.foreign"}  # of another database: in no package
        assert {k: v for k, v in after.items() if k not in theirs} == {
            k: v for k, v in before.items() if k not in theirs
        }


def kinds_named(project: Project, found: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """The rows with the names of content types for their primary keys: today's project has other
    models than the one of which the package was made."""
    with as_default_database(project):
        names = {kind.pk: kind.natural_key() for kind in ContentType.objects.all()}
    columns = {
        model._meta.label_lower: [
            field.column
            for field in model._meta.local_concrete_fields
            if field.related_model is ContentType
        ]
        for model in awkward_models()
    }
    return {
        label: [
            {
                name: names.get(value, value) if name in columns[label] else value
                for name, value in row.items()
            }
            for row in rows
        ]
        for label, rows in found.items()
    }


LINE = (
    b'{"model":"testapp.unkind","pk":1,"fields":{"moment":"2026-11-22T10:00:00.000000+00:00",'
    b'"price":"1.25","secret":"stored"},"_pk":1}'
)
"""As the last code that wrote format 1 dumped this row, on each of the three databases: what the
fields of the project's own read, and nothing else."""
DIGESTS = (
    "524813c2625d58028170fcab35be2a11da9c743d23ec33f0acd3c72a045a8798",
    "dbe000fa2b9d5bb986c6b155f5a476ff9647c355499b1426efe416ee02b38f9c",
)


@isolate_apps("tests.testapp")
def _model() -> type[models.Model]:
    class Unkind(models.Model):
        secret = Encrypted()
        moment = ToTheSecond(null=True)
        price = ToTheCent(max_digits=10, decimal_places=4, null=True)

        class Meta:
            app_label = "testapp"

        def __str__(self) -> str:
            return str(self.pk)

    return Unkind


def test_what_format_1_has_of_a_field_of_the_projects_own_is_written_by_the_field(
    empty_project: None,
) -> None:
    model = made(_model())
    theirs = LineFormat(number=1, vendor=connection.vendor, zone="")
    codec = RowCodec(model, {model: Identity()}, connection, line_format=theirs)
    engine = engine_for("default")
    with engine.loading([codec.table], attempt=1):
        engine.write(codec.table, codec.columns, [codec.decode(LINE)])

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT secret FROM {codec.table}")
        assert [secret for (secret,) in cursor.fetchall()] == [codecs.encode("stored", "rot13")]
    lines, figures = dumped(model, line_format=theirs)
    assert lines == [LINE]
    assert (figures.digest, figures.exact) == DIGESTS
