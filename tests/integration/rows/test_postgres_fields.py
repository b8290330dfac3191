"""Rows with the fields of django.contrib.postgres, and text that ignores case (citext)."""
# ruff: noqa: DJ008  # nobody looks at these rows

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from django.apps import AppConfig
from django.conf import settings
from django.contrib.postgres import fields
from django.contrib.postgres.operations import CITextExtension, HStoreExtension
from django.contrib.postgres.search import SearchQueryField, SearchVectorField
from django.db import connection, models, transaction
from django.db.migrations.state import ProjectState
from django.test import override_settings
from psycopg.types.range import Range
from pytest_django import DjangoDbBlocker

from backup_tasks.rows.natural_keys import NaturalKeyModel
from tests.acceptance.merging import working_on
from tests.integration.rows.copy_conformance import copy_gives_the_same
from tests.integration.rows.test_round_trip import codec_of, dumped, round_trip
from tests.integration.rows.transfer import run
from tests.services import Project
from tests.testapp.zoo import add


class PostgresFields(AppConfig):
    name = __name__
    label = "fields"


class Caseless(models.TextField):  # type: ignore[type-arg]  # generic for mypy only
    def db_type(self, connection: object) -> str:
        return "citext"


class Ours(models.Model):
    class Meta:
        abstract = True
        app_label = "fields"


class Author(Ours, NaturalKeyModel):
    natural_key_fields = ("name",)
    name = Caseless(unique=True)


class Book(Ours):
    words = fields.ArrayField(Caseless())
    author = models.ForeignKey(Author, models.CASCADE, null=True, related_name="+")
    signed = models.ForeignKey(Author, models.CASCADE, to_field="name", related_name="+")


class Tag(Ours):
    text = models.TextField()  # only the database knows that it is citext


class Holder(Ours):
    pairs = fields.HStoreField(null=True)
    more_pairs = fields.ArrayField(fields.HStoreField(), null=True)
    texts = fields.ArrayField(models.TextField(), null=True)
    grid = fields.ArrayField(fields.ArrayField(models.IntegerField()), null=True)
    floats = fields.ArrayField(models.FloatField(), null=True)
    moments = fields.ArrayField(models.DateTimeField(), null=True)
    data = fields.ArrayField(models.JSONField(), null=True)
    flags = fields.ArrayField(models.BooleanField(), null=True)
    integers = fields.IntegerRangeField(null=True)
    bigs = fields.BigIntegerRangeField(null=True)
    decimals = fields.DecimalRangeField(null=True)
    days = fields.DateRangeField(null=True)
    span = fields.DateTimeRangeField(null=True)
    vector = SearchVectorField(null=True)
    query = SearchQueryField(null=True)
    stay = models.DurationField(null=True)
    stays = fields.ArrayField(models.DurationField(), null=True)
    nets = fields.ArrayField(models.GenericIPAddressField(), null=True)


MODELS = (Author, Book, Tag, Holder)
THEN, LATER = (dt.datetime(2026, 1, 2, 3, 4, 5, end, dt.UTC) for end in (6, 7))
LOW, HIGH, INFINITY = map(Decimal, ("1.50", "2.000", "Infinity"))
TEXTS = ["MiXed", "", "NULL", '"', "\\", '\\"', "a=>b, c", "{}", "'", "\n\r\t\\N", "ünï 😀", "%s"]
ROWS: list[models.Model] = [
    *(Author(pk=number, name=text) for number, text in enumerate(TEXTS, 1)),
    *(Tag(pk=number, text=text) for number, text in enumerate([*TEXTS, "mixed"], 1)),
    Book(pk=1, words=["A", "b", "B", None], author_id=1, signed_id="MiXed"),
    Book(pk=2, words=[], signed_id="ünï 😀"),
    Holder(pk=1, pairs={}, more_pairs=[], texts=[], grid=[], integers=Range(empty=True)),
    Holder(pk=2, pairs={**dict(zip(TEXTS, TEXTS, strict=True)), "none": None, "mixed": "1"}),
    Holder(pk=3, more_pairs=[{"a": None}, {}, {'"': '\\"'}, None], texts=[*TEXTS, None]),
    Holder(pk=4, grid=[[1, None], [3, 4]], moments=[THEN, None], flags=[True, False]),
    Holder(pk=5, floats=[0.1 + 0.2, float("nan"), float("inf"), -0.0], bigs=Range(None, None)),
    Holder(pk=6, data=[{"b": 1, "a": [None]}, [], "x", 1.5, 2**70], bigs=Range(-(2**63), None)),
    Holder(pk=7, days=Range(dt.date(1, 1, 1), dt.date(9999, 12, 31)), span=Range(None, None)),
    Holder(pk=8, vector=r"""'it''s':1A,2B '\\ ünï':3C plain""", integers=Range(1, 5, "[]")),
    Holder(pk=9, span=Range(THEN, LATER, "[]"), decimals=Range(LOW, HIGH, "()")),
    Holder(pk=10, span=Range(THEN, None, "()"), decimals=Range(LOW, HIGH, "(]")),
    Holder(pk=11, flags=[None, True], decimals=Range(LOW, INFINITY)),
]
SQL = """
    INSERT INTO fields_holder (id, texts) VALUES (0, '[2:3]={a,b}'), (-1, '{}');
    INSERT INTO fields_holder (id, data, stays) VALUES
        (12, '{NULL,"null",1.10,123456789012345678901234567890.5}', '{1 mon,30 days}');
    INSERT INTO fields_holder (id, decimals, nets, stay) VALUES
        (13, '[1.50,NaN)', '{10.0.0.0/8,::1}', '1 year 1 mon -00:00:00.000001');
    INSERT INTO fields_holder (id, query) VALUES (14, $$'it''s' & !('b':*A <-> 'c')$$);
"""
"""What Django does not write, others do."""


@pytest.fixture(autouse=True)
def database(
    awkward_project: Callable[..., Project], django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    ours = ["django.contrib.postgres", f"{__name__}.PostgresFields"]
    with (
        override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, *ours]),
        django_db_blocker.unblock(),
        working_on(awkward_project("postgres", populated=False)),
    ):
        with connection.schema_editor() as editor:
            for extension in (HStoreExtension(), CITextExtension()):
                extension.database_forwards("fields", editor, ProjectState(), ProjectState())
            for model in MODELS:
                editor.create_model(model)
            editor.execute("ALTER TABLE fields_tag ALTER text TYPE citext")
        yield


def held() -> list[str]:
    """All rows as PostgreSQL writes them."""
    tables = [model._meta.db_table for model in MODELS]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{t}' || {t}::text FROM {t}" for t in tables))
        return sorted(row for (row,) in cursor.fetchall())


def round_trip_in_a_package(folder: Path) -> None:
    run("backup", output=str(folder / "x.tar"))
    run("restore", package=str(folder / "x.tar"), safety=False)


def test_rows_survive_a_backup_and_a_restore(tmp_path: Path) -> None:
    add(*ROWS)
    with connection.cursor() as cursor:
        cursor.execute(SQL)
    before = held()
    round_trip_in_a_package(tmp_path)
    assert held() == before


@pytest.mark.parametrize("key", [0, -5])
def test_primary_keys_may_be_below_those_that_the_database_gives(key: int, tmp_path: Path) -> None:
    add(Tag(pk=key, text="x"))
    round_trip_in_a_package(tmp_path)
    assert Tag._base_manager.create(text="y").pk > key


def test_a_key_that_differs_in_case_from_what_it_refers_to_comes_back(tmp_path: Path) -> None:
    """Staging sees the operators of an extension in live's schema."""
    add(ROWS[0], Book(pk=1, words=[], signed_id="mixed"))
    before = held()
    round_trip_in_a_package(tmp_path)
    assert held() == before


def test_text_that_ignores_case_keeps_its_case() -> None:
    add(*ROWS)
    with transaction.atomic():
        assert b'"author":["MiXed"]' in dumped(Book)[0][0]
        assert copy_gives_the_same(codec_of(Tag))
        round_trip(Tag)
