"""What a column stores comes back as it was stored, whatever the field makes of it."""

import codecs
import io
import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from django.core import serializers
from django.db import connection, models
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_tasks.engines import engine_for
from backup_tasks.errors import LoadFailed
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.line_format import LineFormat
from backup_tasks.rows.natural_keys import Identity
from tests.integration.rows.tables import dumped, made
from tests.testapp.unkind import Refusing, unkind_model

SECRET = "the combination is 1234"


@isolate_apps("tests.testapp")
def plain_model() -> type[models.Model]:
    class Stored(models.Model):
        text = models.TextField(null=True)  # noqa: DJ001 - NULL and "" are to be told apart
        integer = models.IntegerField(null=True)
        boolean = models.BooleanField(null=True)
        number = models.FloatField(null=True)
        decimal = models.DecimalField(max_digits=10, decimal_places=2, null=True)
        date = models.DateField(null=True)
        day = models.DateField(default="2026-01-01")
        time = models.TimeField(null=True)
        moment = models.DateTimeField(null=True)
        duration = models.DurationField(null=True)
        uuid = models.UUIDField(null=True)
        binary = models.BinaryField(null=True)

        class Meta:
            app_label = "testapp"

        def __str__(self) -> str:
            return str(self.pk)

    return Stored


@pytest.fixture
def unkind(empty_project: None) -> type[models.Model]:
    return made(unkind_model())


@pytest.fixture
def plain(empty_project: None) -> type[models.Model]:
    return made(plain_model())


def stored(model: type[models.Model]) -> list[Any]:
    """The rows in the database's own terms, past every conversion."""
    asked = {
        "sqlite": "typeof({0}) || ' ' || quote({0})",
        "postgresql": "{0}::text",
        "mysql": "coalesce(hex({0}), 'NULL')",
    }[connection.vendor]
    columns = [connection.ops.quote_name(field.column) for field in model._meta.concrete_fields]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(map(asked.format, columns))} FROM {model._meta.db_table}"
            f" ORDER BY {columns[0]}"
        )
        return list(cursor.fetchall())


def insert(model: type[models.Model], **values: Any) -> None:
    """Insert a row by SQL, past the fields."""
    names = ", ".join(connection.ops.quote_name(name) for name in values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({names}) VALUES"
            f" ({', '.join(['%s'] * len(values))})",
            list(values.values()),
        )


def load(model: type[models.Model], lines: Sequence[bytes]) -> None:
    codec, engine = RowCodec(model, {model: Identity()}, connection), engine_for("default")
    with engine.loading([codec.table], attempt=1):
        engine.write(codec.table, codec.columns, [codec.decode(line) for line in lines])


def assert_comes_back(model: type[models.Model]) -> list[dict[str, Any]]:
    """Dump the table, empty it, load it: the same is stored. Return the lines."""
    before = stored(model)
    lines, figures = dumped(model)
    load(model, lines)
    assert stored(model) == before
    assert dumped(model)[1] == figures
    # As `loaddata` reads a file: of a text, Django would take U+0085 for the end of a line.
    list(serializers.deserialize("jsonl", io.BytesIO(b"\n".join(lines)), ignorenonexistent=True))
    return [json.loads(line) for line in lines]


def test_a_field_of_the_projects_own_travels_as_what_its_column_stores(
    unkind: type[models.Model],
) -> None:
    insert(
        unkind,
        secret=codecs.encode(SECRET, "rot13"),
        zipped=zlib.compress(SECRET.encode()),
        empty="",
        moment="2026-11-22 22:33:55.123456",
        price="12.3456",
        words="a,b",
        strict="odd",
        hidden=codecs.encode(json.dumps({"a": SECRET}), "rot13"),
        wrapped=7,
    )
    insert(unkind, secret="", empty="x", words="", strict="plain", zipped=b"not zipped at all")

    first, second = assert_comes_back(unkind)

    assert SECRET not in json.dumps(first)
    assert first["fields"]["secret"] is None
    assert first["fields"]["moment"] == "2026-11-22T22:33:55.000000+00:00"  # what the field reads
    assert first["_raw"]["secret"] == codecs.encode(SECRET, "rot13")
    assert second["fields"]["strict"] == "plain"
    assert "strict" not in second["_raw"]


def test_a_value_that_its_field_would_not_take_back_is_loaded_all_the_same(
    empty_project: None,
) -> None:
    """What was dumped can be loaded into the database that it is of."""
    with isolate_apps("tests.testapp"):

        class Dated(models.Model):
            day = Refusing(null=True)

            class Meta:
                app_label = "testapp"

            def __str__(self) -> str:
                return str(self.pk)

    model = made(Dated)
    insert(model, day="2026-11-22")
    before, (lines, figures) = stored(model), dumped(model)

    load(model, lines)

    assert (stored(model), dumped(model)[1]) == (before, figures)


def test_a_field_of_the_projects_own_goes_to_another_kind_of_database(
    unkind: type[models.Model],
) -> None:
    insert(unkind, secret="fgberq", empty="", zipped=b"\x00\xff", words="a,b")
    ((line,), _) = dumped(unkind)
    for vendor, blob in (("postgresql", "\\x00ff"), ("sqlite", {"blob": "AP8="})):
        data = json.loads(line)
        data["_raw"]["zipped"] = blob
        theirs = LineFormat(number=2, vendor=vendor, zone="")
        codec = RowCodec(unkind, {unkind: Identity()}, connection, line_format=theirs)
        values = dict(zip(codec.columns, codec.decode(json.dumps(data).encode()), strict=True))
        assert values["secret"] == "fgberq"
        assert values["words"] == "a,b"
        if connection.vendor != vendor:
            assert values["zipped"] == b"\x00\xff"


ODD: Sequence[tuple[str, Any]] = (
    ("decimal", 19.999),
    ("decimal", "many"),
    ("decimal", b"\x00"),
    ("date", "2026-11-22 10:00:00"),
    ("date", ""),
    ("date", 20261122),
    ("day", ""),
    ("day", "yesterday"),
    ("boolean", "t"),
    ("boolean", 2),
    ("boolean", ""),
    ("integer", "abc"),
    ("integer", 1.5),
    ("integer", b"1"),
    ("text", b"\xff\x00"),
    ("number", "much"),
    ("time", "10:00"),
    ("time", "25:00:00"),
    ("moment", "2026-11-22"),
    ("moment", "2026-11-22T10:00:00"),
    ("moment", "2026-11-22 10:00:00+02:00"),
    ("moment", "2026-11-22 10:00:00.000"),
    ("moment", 1700000000),
    ("duration", "1 day"),
    ("duration", 1.5),
    ("uuid", "287e40c8-4743-4e76-a2d3-50ff0ed76311"),
    ("uuid", "none"),
    ("binary", "text"),
    ("binary", 7),
)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_sqlite_stores_beside_the_type_of_a_column_comes_back(
    engine: str, plain: type[models.Model]
) -> None:
    for name, value in ODD:
        insert(plain, **{"day": "2026-01-01", name: value})

    lines = assert_comes_back(plain)

    found = {(name, repr(value)): line for (name, value), line in zip(ODD, lines, strict=True)}
    assert found["decimal", "19.999"]["fields"]["decimal"] == "20.00"
    assert found["decimal", "19.999"]["_raw"] == {"decimal": 19.999}
    for (name, value), line in zip(ODD, lines, strict=True):
        assert name in line.get("_raw", ()), (name, value)


STORED = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=20),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.datetimes().map(str),
    st.dates().map(str),
    st.times().map(str),
    st.decimals(-(10**7), 10**7, places=2).map(str),
    st.uuids().map(lambda value: value.hex),
)
BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("engine", ["sqlite"])
@BOUNDED
@given(data=st.data())
def test_whatever_sqlite_stores_in_whatever_column_comes_back(
    engine: str, undeclared: type[models.Model], data: st.DataObject
) -> None:
    undeclared._base_manager.all()._raw_delete("default")
    names = [field.column for field in undeclared._meta.concrete_fields][1:]
    for _ in range(3):
        insert(undeclared, **{name: data.draw(STORED) for name in names})

    assert_comes_back(undeclared)


@pytest.fixture
def undeclared(empty_project: None) -> type[models.Model]:
    """The model's columns as they are declared, and columns without a type behind some fields."""
    model = plain_model()
    fields = model._meta.concrete_fields[1:]
    types = [
        f'"{field.column}" {"" if at % 4 == 0 else field.db_type(connection)}'
        for at, field in enumerate(fields)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {model._meta.db_table}"
            f" (id integer PRIMARY KEY AUTOINCREMENT, {', '.join(types)})"
        )
    return model


@BOUNDED
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    binary=st.binary(),
)
def test_any_text_and_any_bytes_come_back(
    plain: type[models.Model], text: str, binary: bytes
) -> None:
    plain._base_manager.all()._raw_delete("default")
    insert(plain, text=text, binary=binary, day="2026-01-01")

    assert_comes_back(plain)


@pytest.mark.parametrize("engine", ["mariadb"])
def test_zero_dates_and_uuids_in_char_columns_of_mariadb_come_back(
    engine: str, plain: type[models.Model]
) -> None:
    table = plain._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute(f"ALTER TABLE {table} MODIFY uuid char(32)")
    insert(plain, date="0000-00-00", day="2026-00-00", moment="0000-00-00 00:00:00")
    insert(plain, day="2026-01-01", uuid="287e40c847434e76a2d350ff0ed76311", time="-26:00:01")
    insert(plain, day="2026-01-01", boolean=2, moment="2026-11-22 10:00:00", decimal="1.50")

    zero, char, _ = assert_comes_back(plain)

    assert zero["_raw"]["date"] == "0000-00-00"
    assert char["fields"]["uuid"] == "287e40c8-4743-4e76-a2d3-50ff0ed76311"


def test_a_stored_value_that_another_kind_of_database_lacks_is_refused_by_its_field(
    plain: type[models.Model],
) -> None:
    theirs = LineFormat(number=2, vendor="another", zone="")
    codec = RowCodec(plain, {plain: Identity()}, connection, line_format=theirs)
    insert(plain, day="2026-01-01")
    data = json.loads(dumped(plain)[0][0])
    data["_raw"] = {"day": "0000-00-00"}
    data["fields"]["day"] = None

    with pytest.raises(LoadFailed, match="day has '0000-00-00', which only another holds"):
        codec.decode(json.dumps(data).encode())


@pytest.mark.parametrize(
    "raw", [None, [1], {}, {"blob": 5}, {"blob": "%%%"}, {"real": [1]}, {"text": "x"}]
)
@pytest.mark.parametrize("vendor", ["this", "postgresql", "sqlite"])
def test_what_no_dump_writes_as_a_stored_value_is_refused(
    unkind: type[models.Model], raw: Any, vendor: str
) -> None:
    insert(unkind, secret="fgberq", empty="", zipped=b"\x00\xff", words="a,b")
    theirs = LineFormat(number=2, vendor=connection.vendor if vendor == "this" else vendor, zone="")
    codec = RowCodec(unkind, {unkind: Identity()}, connection, line_format=theirs)
    data = json.loads(dumped(unkind)[0][0])
    data["_raw"]["zipped"] = raw

    with pytest.raises(LoadFailed):
        codec.decode(json.dumps(data).encode())
