"""Columns of every type that PostgreSQL has, reached by the smallest field that a project writes:
there and back, and through a merge."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from django.apps import AppConfig
from django.conf import settings
from django.db import connection, models
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.acceptance.merging import changes, merge, working_on
from tests.integration.rows.transfer import run
from tests.services import MakeProject

COLUMNS: Mapping[str, tuple[str, ...]] = {
    # types that the database's owner made
    "mood": ("happy", "so so"),
    "mood[]": ("{happy,NULL}", "{}"),
    "positive": ("1", "2147483647"),
    "positive[]": ("{1,2}",),
    "code": ("abc", ""),
    "pair": ('(1,"a b")', '(,"")', "(,)", '(-1,"""\\\\,()")'),
    "pair[]": ('{"(1,a)","(2,)",NULL}', "{}"),
    "floatrange": ("[1.5,2.5)", "empty", "(,)"),
    # ranges
    "int4range": ("[1,5)", "empty", "(,)"),
    "int8range": ("[1,9223372036854775807)",),
    "numrange": ("(1.50,2.000]", "[NaN,]"),
    "tsrange": ('["2026-01-02 03:04:05.000006",infinity)',),
    "tstzrange": ('["2026-01-02 03:04:05.000006+00",)',),
    "daterange": ("[0001-01-01,9999-12-31)", "[-infinity,infinity]"),
    "int4multirange": ("{[1,5),[7,9)}", "{}"),
    "nummultirange": ("{(,1.50],[2,)}",),
    "tstzmultirange": ('{["2026-01-02 03:04:05+00",)}',),
    "datemultirange": ("{[2026-01-01,2026-02-01)}",),
    # bits, money, text search, networks, documents
    "bit(5)": ("10101",),
    "bit varying(9)": ("", "101"),
    "money": ("-12.34", "92233720368547758.07"),
    "tsvector": ("'it''s':1A,2B '\\\\ ünï':3C plain",),
    "tsquery": ("'a' & !('b':*A <-> 'c')",),
    "inet": ("10.0.0.5/8", "192.0.2.1", "2001:db8::1", "::1/64"),
    "inet[]": ("{10.0.0.5/8,::1}",),
    "cidr": ("10.0.0.0/8", "2001:db8::/32"),
    "macaddr": ("08:00:2b:01:02:03",),
    "macaddr8": ("08:00:2b:01:02:03:04:05",),
    "xml": ("<a b='1'> x &amp; <!-- c --></a>", "text"),
    "json": ('{"b": 1,  "a":1, "a": [1.10]}', "null"),
    "jsonb": ('{"b": 1.10, "a": null}', "null", '"x"'),
    "jsonb[]": ('{"{\\"a\\": 1}",null,NULL}',),
    "jsonpath": ('$."a"[*]?(@ > 1)',),
    "ltree": ("Top.Science.Astronomy", ""),
    "lquery": ("*{1,3}.Astro*|b@.c",),
    "hstore": ('"a"=>"1", "b"=>NULL, "\\"" => "\\\\"', ""),
    "citext": ("MiXed", ""),
    "cube": ("(1, 2),(3, 4)",),
    "seg": ("1.50 .. 2.5",),
    "isbn13": ("978-0-393-04002-9",),
    # geometry
    "point": ("(1.5,-2)", "(NaN,Infinity)"),
    "line": ("{1,2,3}",),
    "lseg": ("[(1,2),(3,4)]",),
    "box": ("(3,4),(1,2)",),
    "path": ("[(1,2),(3,4)]", "((1,2),(3,4))"),
    "polygon": ("((0,0),(1,1),(1,0))",),
    "circle": ("<(1,2),3>",),
    "geometry": ("POINT(1 2)", "SRID=4326;LINESTRING Z (1 2 3,4 5 6)", "POLYGON EMPTY"),
    "geography(Point,4326)": ("SRID=4326;POINT(5.4 52.1)",),
    # the plain ones, past the fields that Django has for them
    "smallint[]": ("{1,NULL,3}", "{{1,2},{3,4}}", "[2:3]={1,2}"),
    "text[]": ('{a,"b,c","NULL",NULL,"","\\\\"}',),
    "text[][]": ("{{a,b},{c,d}}",),
    "bytea": ("\\x00ff", ""),
    "bytea[]": ('{"\\\\x00ff",NULL}',),
    "numeric": ("1.50", "NaN", "Infinity", "1e-30"),
    "real": ("0.1", "NaN", "-Infinity"),
    "double precision": ("0.30000000000000004", "5e-324", "-0"),
    "boolean": ("t", "f"),
    "uuid": ("00000000-0000-0000-0000-000000000001",),
    "date": ("0044-03-15 BC", "infinity", "2026-01-02"),
    "time": ("24:00:00", "23:59:59.999999"),
    "timetz": ("12:00:00.000001+05:30",),
    "timestamp": ("0044-03-15 12:00:00 BC", "infinity", "2026-01-02 03:04:05.000006"),
    "timestamptz": ("-infinity", "2026-01-02 03:04:05.000006+00", "10000-01-01 00:00:00+00"),
    "interval": ("1 mon 1 day -00:00:00.000001", "-178000000 years", "30 days"),
    "interval[]": ('{"1 mon","30 days"}',),
    "char(5)": ("ab", ""),
    '"char"': ("x",),
    "name": ("a name",),
    "oid": ("4294967295",),
    "pg_lsn": ("16/B374D848",),
    "pg_snapshot": ("10:20:10,14,15",),
    "regclass": ("pg_class",),
}
"""By type: values, as the server reads them."""
TYPES = """
    CREATE TYPE mood AS ENUM ('so so', 'happy');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN code AS text CHECK (length(VALUE) < 4);
    CREATE TYPE pair AS (a integer, b text);
    CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
"""
EXTENSIONS = ("ltree", "hstore", "citext", "cube", "seg", "isn", "postgis")


class Column(models.Field):  # type: ignore[type-arg]  # generic for mypy only
    """A field that has a type, and nothing else."""

    def __init__(self, kind: str, **options: object) -> None:
        self.kind = kind
        super().__init__(null=True, **options)  # type: ignore[arg-type]

    def db_type(self, connection: object) -> str:
        return self.kind


class ZooColumns(AppConfig):
    """Not installed by the EDMS."""

    name = __name__
    label = "zoocolumns"


class Columns(models.Model):
    """A column of each type. Nobody looks at its rows."""

    code = models.CharField(max_length=20, unique=True)

    class Meta:
        app_label = "zoocolumns"

    def __str__(self) -> str:
        return self.code


for _number, _kind in enumerate(COLUMNS):
    Columns.add_to_class(f"c{_number}", Column(_kind))

OnDatabase = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def on_database(make_project: MakeProject, django_db_blocker: DjangoDbBlocker) -> OnDatabase:
    """Call it for a context in which this process works on a database with the table."""

    @contextmanager
    def work() -> Iterator[None]:
        installed = [*settings.INSTALLED_APPS, f"{__name__}.ZooColumns"]
        with (
            override_settings(INSTALLED_APPS=installed),
            django_db_blocker.unblock(),
            working_on(make_project("postgres")),
        ):
            with connection.cursor() as cursor:
                for extension in EXTENSIONS:
                    cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
                cursor.execute(TYPES)
            with connection.schema_editor() as editor:
                editor.create_model(Columns)
            yield

    return work


def populate() -> None:
    """A row for the first, the second, … value of each type."""
    table = Columns._meta.db_table
    with connection.cursor() as cursor:
        for row in range(max(map(len, COLUMNS.values()))):
            held = {
                f"c{number}": values[row]
                for number, values in enumerate(COLUMNS.values())
                if row < len(values)
            }
            names = ", ".join(("code", *held))
            marks = ", ".join(["%s"] * (len(held) + 1))
            cursor.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", [f"row {row}", *held.values()]
            )


def stored() -> dict[str, dict[str, str]]:
    """By code, and by type: the server's text of the values."""
    texts = ", ".join(f"concat(c{number})" for number in range(len(COLUMNS)))
    nulls = ", ".join(f"num_nulls(c{number}) = 1" for number in range(len(COLUMNS)))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT code, ARRAY[{texts}], ARRAY[{nulls}] FROM {Columns._meta.db_table}")
        return {
            code: {
                kind: text
                for kind, text, null in zip(COLUMNS, values, empty, strict=True)
                if not null
            }
            for code, values, empty in cursor.fetchall()
        }


def test_every_type_comes_back_and_is_merged(on_database: OnDatabase, tmp_path: Path) -> None:
    package = tmp_path / "columns.tar"
    with on_database():
        populate()
        before = stored()
        assert sum(map(len, before.values())) == sum(map(len, COLUMNS.values()))
        run("backup", output=str(package))
        Columns._base_manager.all().delete()

        run("restore", package=str(package), safety=False)

        assert stored() == before
    with on_database():
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {Columns._meta.db_table} (code) VALUES ('own'), ('row 0')")

        merge(package, on_conflict="package")

        assert stored() == {**before, "own": {}}
        assert changes(merge(package).report["merge"]) == {}
