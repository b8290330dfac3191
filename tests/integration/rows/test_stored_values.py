"""What a column stores comes back as it was stored, whatever the field makes of it."""

import codecs
import json
import zlib
from typing import Any

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps
from hypothesis import given
from hypothesis import strategies as st

from backup_tasks.errors import LoadFailed
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.line_format import LineFormat
from backup_tasks.rows.natural_keys import Identity
from tests.integration.rows.stored import (
    BOUNDED,
    assert_comes_back,
    insert,
    load,
    plain_model,
    stored,
)
from tests.integration.rows.tables import dumped, made
from tests.testapp.unkind import Refusing, unkind_model

SECRET = "the combination is 1234"


@pytest.fixture
def unkind(empty_project: None) -> type[models.Model]:
    return made(unkind_model())


@pytest.fixture
def plain(empty_project: None) -> type[models.Model]:
    return made(plain_model())


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
