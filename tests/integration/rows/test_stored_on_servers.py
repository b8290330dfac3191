"""Whatever SQL puts into the columns of PostgreSQL and MariaDB comes back as it is stored, and
`loaddata` reads what stands beside it."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import DatabaseError, connection, models, transaction
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.rows.stored import BOUNDED, assert_comes_back
from tests.integration.rows.strategies import JSON_TEXT, TEXT
from tests.integration.rows.tables import made
from tests.integration.rows.test_column_zoo import Column

Filled = tuple["models.Field[Any, Any]", st.SearchStrategy[Any]]
"""A field, and what SQL puts into its column."""


def _number(places: int) -> st.SearchStrategy[str]:
    return st.decimals(-(10**6), 10**6, places=places).map(str)


def _array(element: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """PostgreSQL's text of an array, with NULLs and a lower bound now and then."""
    quoted = element.map(lambda text: '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"')
    listed = st.lists(quoted | st.just("NULL"), min_size=1, max_size=4)
    return st.builds(
        lambda items, low: (f"[{low}:{low + len(items) - 1}]=" if low != 1 else "")
        + "{" + ",".join(items) + "}",
        listed,
        st.sampled_from([1, 1, 0, -3]),
    )  # fmt: skip


def _bits(longest: int) -> st.SearchStrategy[str]:
    return st.text("01", max_size=longest)


MOMENTS = st.datetimes().map(str)
DATES = st.dates().map(str)
TIMES = st.times().map(str)
FLOATS = st.floats().map(lambda value: "Infinity" if value == math.inf else repr(value))

ON_POSTGRESQL: Mapping[str, Filled] = {
    "text": (models.TextField(null=True), TEXT),
    "short": (models.CharField(max_length=60, null=True), TEXT),
    "padded": (Column("char(9)"), TEXT),
    "numeric": (
        models.DecimalField(max_digits=12, decimal_places=2, null=True),
        st.one_of(_number(2), _number(9), st.sampled_from(["NaN", "1e-30", "1.50000"])),
    ),
    "number": (models.FloatField(null=True), st.one_of(FLOATS, st.just("NaN"))),
    "single": (Column("real"), FLOATS),
    "bytes": (models.BinaryField(null=True), st.binary(max_size=40)),
    "jsonb": (models.JSONField(null=True), JSON_TEXT),
    "json": (models.JSONField(null=True), JSON_TEXT),
    "day": (
        models.DateField(null=True),
        st.one_of(DATES, DATES.map("{} BC".format), st.just("-infinity")),
    ),
    "moment": (
        models.DateTimeField(null=True),
        st.one_of(MOMENTS, MOMENTS.map("{}+05:30".format), MOMENTS.map("{} BC".format)),
    ),
    "naive": (Column("timestamp"), st.one_of(MOMENTS, st.just("infinity"))),
    "time": (models.TimeField(null=True), st.one_of(TIMES, st.just("24:00"))),
    "zoned": (Column("timetz"), TIMES.map("{}-11:30".format)),
    "stay": (
        models.DurationField(null=True),
        st.builds(
            "{} mons {} days {} us".format,
            *(st.integers(-(10**power), 10**power) for power in (3, 3, 12)),
        ),
    ),
    "bits": (Column("bit varying"), _bits(40)),
    "texts": (ArrayField(models.TextField(null=True), null=True), _array(TEXT)),
    "more": (Column("numeric[]"), _array(_number(3))),
    "address": (
        models.GenericIPAddressField(null=True),
        st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 32))
        | st.ip_addresses().map(str),
    ),
    "uuid": (models.UUIDField(null=True), st.uuids().map(str)),
}

ZERO = st.sampled_from(["0000-00-00", "2026-00-00", "2026-11-00"])
ON_MARIADB: Mapping[str, Filled] = {
    "text": (models.TextField(null=True), st.one_of(TEXT, st.binary(max_size=20))),
    "short": (models.CharField(max_length=60, null=True), TEXT),
    "numeric": (
        models.DecimalField(max_digits=12, decimal_places=2, null=True),
        st.one_of(_number(2), _number(9), TEXT),
    ),
    "number": (models.FloatField(null=True), st.floats(allow_nan=False, allow_infinity=False)),
    "single": (Column("float"), st.floats(allow_nan=False, allow_infinity=False, width=32)),
    "whole": (models.BigIntegerField(null=True), st.one_of(_number(0), TEXT)),
    "flag": (models.BooleanField(null=True), st.integers(-200, 200)),
    "bytes": (models.BinaryField(null=True), st.one_of(st.binary(max_size=40), TEXT)),
    "fixed": (Column("binary(9)"), st.binary(max_size=9)),
    "json": (models.JSONField(null=True), JSON_TEXT),
    "day": (models.DateField(null=True), st.one_of(DATES, ZERO, TEXT)),
    "moment": (
        models.DateTimeField(null=True),
        st.one_of(MOMENTS, ZERO.map("{} 10:00:00".format), TEXT),
    ),
    "time": (
        models.TimeField(null=True),
        st.one_of(TIMES, st.sampled_from(["838:59:59", "-26:00:01.5", "24:00"]), TEXT),
    ),
    "stay": (models.DurationField(null=True), st.integers(-(2**63), 2**63 - 1)),
    "bits": (Column("bit(9)"), st.binary(max_size=2)),
    "year": (Column("year"), st.integers(0, 2155)),
    "mood": (Column("enum('so so', 'happy')"), st.one_of(st.sampled_from(["happy", ""]), TEXT)),
    "moods": (Column("set('a', 'b', 'c')"), st.sampled_from(["", "a,c", "b"])),
    "address": (models.GenericIPAddressField(null=True), TEXT | st.ip_addresses().map(str)),
    "uuid": (models.UUIDField(null=True), st.uuids().map(str)),
    "old_uuid": (models.UUIDField(null=True), st.one_of(st.uuids().map(lambda u: u.hex), TEXT)),
}

CHANGED = {
    "postgres": "ALTER TABLE {} ALTER numeric TYPE numeric, ALTER json TYPE json",
    "mariadb": "ALTER TABLE {} MODIFY old_uuid char(32)",
}
"""What other programs, and older versions of Django, have made of the columns."""
COLUMNS = {"postgres": ON_POSTGRESQL, "mariadb": ON_MARIADB}


@pytest.fixture
def columns(engine: str, empty_project: None) -> type[models.Model]:
    with isolate_apps("tests.testapp"):

        class Columns(models.Model):
            class Meta:
                app_label = "testapp"

            def __str__(self) -> str:
                return str(self.pk)

        for name, (field, _) in COLUMNS[engine].items():
            copy.deepcopy(field).contribute_to_class(Columns, name)
    made(Columns)
    with connection.cursor() as cursor:
        cursor.execute(CHANGED[engine].format(Columns._meta.db_table))
    return Columns


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
@settings(BOUNDED, max_examples=20)
@given(data=st.data())
def test_whatever_sql_puts_into_a_column_comes_back(
    engine: str, columns: type[models.Model], data: st.DataObject
) -> None:
    columns._base_manager.all()._raw_delete("default")
    stored = 0
    with connection.cursor() as cursor:
        if engine == "mariadb":
            cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        for name, (_, values) in COLUMNS[engine].items():
            # The server says what it takes.
            quoted = connection.ops.quote_name(name)
            statement = f"INSERT INTO {columns._meta.db_table} ({quoted}) VALUES (%s)"
            try:
                with transaction.atomic():
                    cursor.execute(statement, [data.draw(values, label=name)])
                stored += 1
            except (DatabaseError, ValueError):
                continue

    assert len(assert_comes_back(columns)) == stored
