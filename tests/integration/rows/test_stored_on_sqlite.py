"""SQLite stores any value in any column, and any bytes as text: all of it comes back."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, models
from hypothesis import given
from hypothesis import strategies as st

from backup_tasks.engines.sqlite.texts import UndecodedText, reading_any_text, text_or_bytes
from tests.integration.rows.stored import BOUNDED, assert_comes_back, insert, plain_model
from tests.integration.rows.strategies import JSON_TEXT
from tests.integration.rows.tables import made

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])


@pytest.fixture
def plain(empty_project: None) -> type[models.Model]:
    return made(plain_model())


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
    ("text", UndecodedText(b"caf\xe9")),
    ("text", UndecodedText(b"\x00\xed\xa0\x80")),
    ("integer", UndecodedText(b"1\xff")),
    ("moment", UndecodedText(b"2026-11-22 10:00:00\xff")),
    ("binary", UndecodedText(b"\xff")),
    ("data", '"\\ud800"'),
    ("data", '{"a":1,"b":"x"}'),
    ("data", "1e400"),
    ("address", "1:2:x"),
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
    st.binary(max_size=20).map(text_or_bytes),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.datetimes().map(str),
    st.dates().map(str),
    st.times().map(str),
    st.decimals(-(10**7), 10**7, places=2).map(str),
    st.uuids().map(lambda value: value.hex),
    JSON_TEXT,
)


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


def test_text_of_a_database_in_utf_16_is_refused_as_it_would_not_be_written_back(
    engine: str, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "utf-16.sqlite3")) as file:
        file.execute("PRAGMA encoding = 'UTF-16le'")
        file.execute("CREATE TABLE t AS SELECT CAST(x'00d8' AS TEXT) AS lone_surrogate")
        with (
            reading_any_text(file),
            pytest.raises(sqlite3.OperationalError, match="Could not decode"),
        ):
            file.execute("SELECT lone_surrogate FROM t").fetchall()
