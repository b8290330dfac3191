"""What travels as the text of the column: what Python lacks, and what a field decrypts."""

import codecs
import json

import django.conf
import pytest
from django.db import connection, models

from backup_tasks.rows.line_format import LineFormat
from tests.integration.rows.stored import assert_comes_back, insert, plain_model
from tests.integration.rows.tables import dumped, made
from tests.integration.rows.test_stored_values import SECRET
from tests.testapp.unkind import unkind_model


@pytest.fixture
def unkind(empty_project: None) -> type[models.Model]:
    return made(unkind_model())


@pytest.fixture
def plain(empty_project: None) -> type[models.Model]:
    return made(plain_model())


BEYOND_PYTHON = (
    ("date", "infinity"),
    ("date", "-infinity"),
    ("date", "0044-03-15 BC"),
    ("date", "10000-01-01"),
    ("moment", "infinity"),
    ("moment", "-infinity"),
    ("moment", "0044-03-15 12:00:00.123456+00 BC"),
    ("moment", "20000-01-01 00:00:00+00"),
    ("time", "24:00:00"),
)
AT_THE_END = (("date", "9999-12-31"), ("moment", "9999-12-31 23:59:59.999999+00"))


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("engine", ["postgres"])
def test_dates_and_times_that_python_lacks_come_back(
    engine: str, plain: type[models.Model], monkeypatch: pytest.MonkeyPatch, use_tz: bool
) -> None:
    monkeypatch.setattr(django.conf.settings, "USE_TZ", use_tz)
    for name, value in (*BEYOND_PYTHON, *AT_THE_END):
        insert(plain, **{"day": "2026-01-01", name: value})

    lines = assert_comes_back(plain)

    for (name, _), line in zip(BEYOND_PYTHON, lines, strict=False):
        assert line["fields"][name] is None
        assert name in line["_raw"]
    for (name, _), line in zip(AT_THE_END, lines[-2:], strict=True):
        assert line["fields"][name]


def test_what_a_field_decrypts_is_in_clear_only_where_a_setting_names_it(
    unkind: type[models.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(unkind, secret=codecs.encode(SECRET, "rot13"), empty="")
    named = f"{unkind._meta.label}.secret"
    changed = {**django.conf.settings.BACKUP, "CLEAR_FIELDS": [named]}
    monkeypatch.setattr(django.conf.settings, "BACKUP", changed)

    (line,) = assert_comes_back(unkind)

    assert line["fields"]["secret"] == SECRET
    assert line["_raw"]["secret"] == codecs.encode(SECRET, "rot13")
    # Whoever restores it may have another setting: the package says which fields it shows.
    monkeypatch.setattr(django.conf.settings, "BACKUP", {**changed, "CLEAR_FIELDS": []})
    theirs = LineFormat(number=2, vendor=connection.vendor, zone="", clear=(named.lower(),))
    assert json.loads(dumped(unkind, line_format=theirs)[0][0]) == line
