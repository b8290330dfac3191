"""COPY conformance: COPY and the codec give the same bytes."""

import datetime as dt
import json
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
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.copy_dump import copy_lines
from backup_tasks.rows.dump import dump_model
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.natural_keys import Identity, Model
from backup_tasks.rows.scope import full_scope
from tests.integration.rows.copy_conformance import copy_gives_the_same
from tests.services import MakeProject, Project, as_default_database

MUST_BE_FAST = {
    "audit.auditentry",
    "documents.accesslog",
    "documents.document",
    "documents.documentversion",
    "workflows.documentworkflow",
}


def codecs() -> list[RowCodec]:
    """Return the codecs of all models in scope."""
    found = backup_settings()
    connection = connections["default"]
    included = full_scope(found).included
    identities, _ = settled_identities(connection, included, found.natural_keys)
    return [RowCodec(model, identities, connection) for model in included]


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
def test_copy_and_codec_give_the_same_bytes_for_the_demonstration_data() -> None:
    with engine_for("default").snapshot():
        fast = {codec.label for codec in codecs() if copy_gives_the_same(codec)}

    assert fast >= MUST_BE_FAST


@pytest.mark.usefixtures("postgres_zoo")
def test_copy_and_codec_give_the_same_bytes_for_every_awkward_row() -> None:
    with engine_for("default").snapshot():
        fast = {codec.label for codec in codecs() if copy_gives_the_same(codec)}

    assert len(fast) > 20


TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40
) | st.sampled_from(
    [
        *("\\", "\\\\n", "\\v", "\v", "\\\x01", "\x01", "\x02}", '"', '\\"', "\n\r\t", "\b\f\x7f"),
        *(',"\\u0000",', "\u2028", "😀", "null", "NULL", "\\N", "\\.", "", "%s", "%%", "{0}"),
    ]
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
    "flag": st.booleans(),
}


def _model(*, null: bool) -> Model:
    """Return a model, local to this file, with one field of each type that COPY sends.

    A column that may hold NULL is sent in another form than one that may not.
    """
    with isolate_apps("tests.testapp"):

        class Written(models.Model):
            text = models.TextField(null=null)
            real = models.FloatField(null=null)
            big = models.BigIntegerField(null=null)
            price = models.DecimalField(max_digits=14, decimal_places=4, null=null)
            day = models.DateField(null=null)
            hour = models.TimeField(null=null)
            moment = models.DateTimeField(null=null)
            token = models.UUIDField(null=null)
            content = models.BinaryField(null=null)
            data = models.JSONField(null=null)
            address = models.GenericIPAddressField(null=null)
            flag = models.BooleanField(null=null)

            class Meta:
                app_label = "testapp"
                db_table = "written" if null else "written_full"

            def __str__(self) -> str:
                return f"row {self.pk}"

    return Written


@pytest.fixture
def database(make_project: MakeProject, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), as_default_database(make_project("postgres")):
        yield


def _created(model: Model) -> RowCodec:
    with connections["default"].schema_editor() as editor:
        editor.create_model(model)
    return RowCodec(model, {model: Identity()}, connections["default"])


@pytest.fixture
def written(database: None) -> Model:
    return _created(_model(null=True)).model


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.usefixtures("database")
def test_copy_and_codec_give_the_same_bytes_for_any_value(null: bool) -> None:
    model = _model(null=null)
    codec = _created(model)
    values = st.fixed_dictionaries({}, optional=VALUES)
    if not null:
        # None would be NULL to Django.
        values = st.fixed_dictionaries(
            {**VALUES, "data": JSON.filter(lambda data: data is not None)}
        )

    @given(rows=st.lists(values, min_size=1, max_size=8))
    @settings(max_examples=120, deadline=None)
    def of_these(rows: list[dict[str, Any]]) -> None:
        with transaction.atomic():
            models.QuerySet[Any](model).bulk_create([model(**row) for row in rows])
            assert copy_gives_the_same(codec), "the server does not send a kind that it should"
            transaction.set_rollback(True)

    of_these()


@pytest.mark.parametrize("table", ["written_full", "heir"])
@pytest.mark.usefixtures("database")
def test_null_is_null_where_only_the_model_says_that_there_is_none(table: str) -> None:
    """Also in the rows of a table that inherits, which are the model's rows too."""
    codec = _created(_model(null=False))
    row = (
        '{"id": 1, "text": null, "real": 1, "big": 1, "price": 1, "day": "2026-01-01", "data": {},'
        ' "hour": "12:00", "moment": "2026-01-01T00:00Z", "content": "", "address": "::1",'
        ' "token": "00000000-0000-0000-0000-000000000000", "flag": true}'
    )
    with connections["default"].cursor() as cursor:
        cursor.execute("CREATE TABLE heir () INHERITS (written_full)")
        cursor.execute(f"ALTER TABLE {table} ALTER text DROP NOT NULL")
        cursor.execute(
            f"INSERT INTO {table} SELECT (json_populate_record(NULL::{table}, %s)).*", [row]
        )

    with transaction.atomic():
        assert copy_gives_the_same(codec)
        assert b'"text":null' in _only_head(codec)


@pytest.mark.parametrize("loadable", [True, False])
@pytest.mark.usefixtures("database")
def test_a_model_may_be_called_null(loadable: bool) -> None:
    with isolate_apps("tests.testapp"):

        class Nullable(models.Model):
            null = models.TextField(unique=True)

            class Meta:
                app_label = "testapp"

            def __str__(self) -> str:
                return self.null

    identity = Identity(paths=("null",), loadable=loadable) if loadable else Identity()
    with connections["default"].schema_editor() as editor:
        editor.create_model(Nullable)
    Nullable._base_manager.create(null="null")

    with transaction.atomic():
        assert copy_gives_the_same(RowCodec(Nullable, {Nullable: identity}, connections["default"]))


@pytest.mark.usefixtures("database")
def test_columns_of_other_types_than_the_model_says_are_read_as_they_are() -> None:
    """As an unmanaged model over an old table has them."""
    codec = _created(_model(null=True))
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "ALTER TABLE written ALTER moment TYPE timestamp USING moment AT TIME ZONE 'UTC',"
            " ALTER big TYPE integer, ALTER text TYPE varchar(9), ALTER token TYPE text"
        )
        cursor.execute(
            "INSERT INTO written (moment, big, text, token) VALUES"
            " ('2026-02-03 04:05:06.07', 7, 'x', '00000000-0000-0000-0000-000000000000')"
        )

    with transaction.atomic():
        prefix = json.loads(_only_head(codec) + b"}")["fields"]

    assert prefix["moment"] == "2026-02-03T04:05:06.070000+00:00"
    assert (prefix["big"], prefix["text"]) == (7, "x")
    assert prefix["token"] == "00000000-0000-0000-0000-000000000000"


@pytest.mark.usefixtures("database")
def test_a_json_column_that_is_not_jsonb_is_not_sent_by_copy() -> None:
    codec = _created(_model(null=True))
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE written ALTER data TYPE json")
        cursor.execute('INSERT INTO written (data) VALUES (E\'{\n\t"b": 1.0,\n\t"a": 2}\')')

    with transaction.atomic():
        assert copy_lines(codec) is None
        assert dump_model(codec, None, lambda rows: None).count == 1


def _only_head(codec: RowCodec) -> bytes:
    ((prefixes, _),) = list(copy_lines(codec) or ())
    return prefixes[0]


def test_settings_of_the_role_change_nothing(written: Model) -> None:
    codec = RowCodec(written, {written: Identity()}, connections["default"])
    written._base_manager.create(
        day=dt.date(2026, 2, 3),
        moment=dt.datetime(2026, 2, 3, 4, 5, 6, 70000, dt.UTC),
        real=0.1 + 0.2,
        content=b"\x00\xff",
    )
    with transaction.atomic():
        usual = _only_head(codec)
    with connections["default"].cursor() as cursor:
        cursor.execute("SET DateStyle = 'German'; SET TimeZone = 'Asia/Kolkata'")
        cursor.execute("SET extra_float_digits = -5; SET bytea_output = 'escape'")

    with transaction.atomic():
        assert _only_head(codec) == usual


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
def test_dates_and_times_beyond_python_are_read_row_by_row(
    written: Model, column: str, value: str
) -> None:
    codec = RowCodec(written, {written: Identity()}, connections["default"])
    with connections["default"].cursor() as cursor:
        cursor.execute(f"INSERT INTO {written._meta.db_table} ({column}) VALUES (%s)", [value])

    with transaction.atomic():
        assert copy_lines(codec) is None
    with transaction.atomic():
        assert dump_model(codec, None, lambda rows: None).count == 1


def test_an_error_after_the_last_row_is_raised(written: Model) -> None:
    """The server fails after thousands of rows."""
    codec = RowCodec(written, {written: Identity()}, connections["default"])
    with connections["default"].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {written._meta.db_table} (big) SELECT n FROM generate_series(0, 9999) n"
        )
    columns = codec.query.columns
    columns[:] = [
        replace(column, sql="(1 / (9999 - t.big))") if column.field.name == "big" else column
        for column in columns
    ]

    with transaction.atomic(), pytest.raises(DataError, match="division by zero"):
        for _ in copy_lines(codec) or ():
            pass

    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
