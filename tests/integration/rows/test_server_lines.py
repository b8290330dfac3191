"""The lines that PostgreSQL writes itself, and those that Python writes, are the same bytes."""

import datetime as dt
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import DataError, connections, models, transaction
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import DumpFailed
from backup_tasks.rows.dump import dump_model
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.natural_keys import Identity, Model
from backup_tasks.rows.scope import full_scope
from backup_tasks.rows.server import server_lines
from backup_tasks.rows.shape import Line, Shape
from tests.services import MakeProject, Project, as_default_database

MUST_BE_FAST = {
    "audit.auditentry",
    "documents.accesslog",
    "documents.document",
    "documents.documentversion",
    "workflows.documentworkflow",
}


def shapes() -> list[Shape]:
    """How the rows of every model in scope are read, now."""
    found = backup_settings()
    connection = connections["default"]
    included = full_scope(found).included
    identities, _ = settled_identities(connection, included, found.natural_keys)
    return [Shape(model, identities, connection) for model in included]


def compared(shape: Shape) -> bool:
    """Hold the lines of both ways to each other; False if the server does not write the model."""
    by_server = server_lines(shape)
    if by_server is None:
        return False
    assert _all(by_server) == _all(shape.lines()), shape.label
    return True


def _all(batches: Iterator[list[Line]]) -> list[Line]:
    return sorted(line for batch in batches for line in batch)


@pytest.fixture
def demo(make_project: MakeProject, django_db_blocker: DjangoDbBlocker) -> Iterator[Project]:
    project = make_project("postgres", demo=True)
    with django_db_blocker.unblock(), as_default_database(project):
        yield project


@pytest.fixture
def postgres_zoo(
    zoos: Callable[[str], Project], django_db_blocker: DjangoDbBlocker
) -> Iterator[Project]:
    with django_db_blocker.unblock(), as_default_database(zoos("postgres")):
        yield zoos("postgres")


@pytest.mark.usefixtures("demo")
def test_both_ways_give_the_same_bytes_for_the_demonstration_data() -> None:
    with engine_for("default").snapshot():
        fast = {shape.label for shape in shapes() if compared(shape)}

    assert fast >= MUST_BE_FAST


@pytest.mark.usefixtures("postgres_zoo")
def test_both_ways_give_the_same_bytes_for_every_awkward_row() -> None:
    with engine_for("default").snapshot():
        fast = {shape.label for shape in shapes() if compared(shape)}

    assert len(fast) > 20


TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40
) | st.sampled_from(
    ["\\", "\\\\n", "\x01", "\x02}", '"', "\n\r\t", "\u2028", "😀", "NULL", "\\N", "\\."]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
FLOATS = st.floats() | st.sampled_from([1e20, 1e-7, 5.0, -0.0, 1e16, 1e22, 5e-324, math.nan])
DAYS = st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 30))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "real": FLOATS,
    "big": st.integers(-(2**63), 2**63 - 1),
    "price": st.decimals(-(10**8), 10**8, places=4, allow_nan=False, allow_infinity=False),
    "day": DAYS,
    "hour": st.times(),
    "moment": st.builds(
        lambda day, hour: dt.datetime.combine(day, hour, dt.UTC), DAYS, st.times()
    ).filter(lambda moment: moment.date() < dt.date(9999, 12, 30)),
    "token": st.uuids(),
    "content": st.binary(max_size=200),
    "data": JSON,
    "address": st.ip_addresses().map(str),
}


def _model() -> Model:
    """A model with one field of each kind that the server writes; only this file knows it."""
    with isolate_apps("tests.testapp"):

        class Written(models.Model):
            text = models.TextField(null=True)  # noqa: DJ001  # as foreign models do
            real = models.FloatField(null=True)
            big = models.BigIntegerField(null=True)
            price = models.DecimalField(max_digits=14, decimal_places=4, null=True)
            day = models.DateField(null=True)
            hour = models.TimeField(null=True)
            moment = models.DateTimeField(null=True)
            token = models.UUIDField(null=True)
            content = models.BinaryField(null=True)
            data = models.JSONField(null=True)
            address = models.GenericIPAddressField(null=True)

            class Meta:
                app_label = "testapp"

            def __str__(self) -> str:
                return f"row {self.pk}"

    return Written


@pytest.fixture
def written(make_project: MakeProject, django_db_blocker: DjangoDbBlocker) -> Iterator[Model]:
    model = _model()
    with django_db_blocker.unblock(), as_default_database(make_project("postgres")):
        with connections["default"].schema_editor() as editor:
            editor.create_model(model)
        yield model


def test_both_ways_give_the_same_bytes_for_any_value(written: Model) -> None:
    shape = Shape(written, {written: Identity()}, connections["default"])

    @given(rows=st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=8))
    @settings(max_examples=120, deadline=None)
    def of_these(rows: list[dict[str, Any]]) -> None:
        with transaction.atomic():
            models.QuerySet[Any](written).bulk_create([written(**row) for row in rows])
            assert compared(shape), "the server does not write a kind that it should"
            transaction.set_rollback(True)

    of_these()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("moment", "infinity"),
        ("moment", "10000-01-01 00:00+00"),
        ("moment", "0044-03-15 12:00+00 BC"),
        ("day", "-infinity"),
        ("day", "0044-03-15 BC"),
        ("hour", "24:00"),
    ],
)
def test_moments_that_python_lacks_are_left_to_python_to_refuse(
    written: Model, column: str, value: str
) -> None:
    shape = Shape(written, {written: Identity()}, connections["default"])
    with connections["default"].cursor() as cursor:
        cursor.execute(f"INSERT INTO {written._meta.db_table} ({column}) VALUES (%s)", [value])

    with transaction.atomic():
        assert server_lines(shape) is None
    with transaction.atomic(), pytest.raises(DumpFailed, match="can't be read"):
        dump_model(shape, None, lambda rows: None)


def test_what_the_server_says_instead_of_an_end_is_raised(written: Model) -> None:
    """After thousands of rows, the last one can't be written."""
    shape = Shape(written, {written: Identity()}, connections["default"])
    with connections["default"].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {written._meta.db_table} (big) SELECT n FROM generate_series(0, 9999) n"
        )
    columns = shape.query.columns
    columns[:] = [
        replace(column, sql="(1 / (9999 - t.big))") if column.field.name == "big" else column
        for column in columns
    ]

    with transaction.atomic(), pytest.raises(DataError, match="division by zero"):
        for _ in server_lines(shape) or ():
            pass

    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
