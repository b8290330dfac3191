"""A reset, a cycle and an older package: migrations make the rows, and live's structure stays."""

from collections.abc import Sequence

import pytest
from django.db import models
from django.test.utils import isolate_apps

from backup_tasks.errors import DoesNotFit
from backup_tasks.restore import structure
from tests.integration.engines import every_object
from tests.integration.engines.live_database import (
    RUN,
    SCHEMA,
    TABLES,
    LiveDatabase,
    generations,
    run_all,
)

ALL = [*TABLES, "probe"]
on_postgres = pytest.mark.parametrize("engine", ["postgres"], indirect=True)


def migrated(database: LiveDatabase, *more: str) -> str:
    """What migrations build: the tables as they were made first, with rows of generation 2."""
    schema = database.engine.schema_name("migrated", RUN)
    database.engine.create(schema)
    with database.engine.at(schema):
        run_all(SCHEMA[database.project.engine])
        run_all(
            "INSERT INTO planet (id, name, gen) VALUES (10, 'planet 10', 2), (20, 'two', 2);"
            "INSERT INTO moon (id, gen, planet_id) VALUES (100, 2, 10), (101, 2, 20)"
        )
        for statement in more:
            run_all(statement)
    return schema


@isolate_apps("tests.testapp")
def planet_with_mass() -> type[models.Model]:
    class Planet(models.Model):
        id = models.BigAutoField(primary_key=True)
        name = models.CharField(max_length=20)
        gen = models.IntegerField()
        mass = models.DecimalField(max_digits=6, decimal_places=3, null=True)

        class Meta:
            app_label = "testapp"
            db_table = "planet"

        def __str__(self) -> str:
            return self.name

    return Planet


def take_over(
    database: LiveDatabase,
    *more: str,
    tables: list[str] = ALL,
    compared: Sequence[type[models.Model]] = (),
) -> None:
    source = migrated(database, *more)
    left = structure.take_over(
        database.engine, source, database.staging, tables=tables, models=list(compared)
    )
    assert left == []
    assert database.engine.schemas() == [database.staging]


EVENT = """
    CREATE TABLE event (id bigint, day date, kind varchar(10), amount integer, planet_id bigint);
    INSERT INTO event VALUES (1, '2025-05-05', 'a', 1, 10)
"""
# The tables that somebody made by hand, as a migration would make them.
OTHERS = """
    SELECT format('CREATE TABLE %%I (%%s)', c.relname, string_agg(a.attname, ' integer, ')
           || ' integer') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relname = ANY(%s) AND c.relnamespace = 'public'::regnamespace
       AND a.attname = 'id' AND c.relname NOT IN ('planet', 'moon', 'probe', 'event')
     GROUP BY c.relname
"""
ADDED = {
    "sqlite": "CREATE INDEX by_gen ON planet (gen) WHERE gen > 0;"
    "ALTER TABLE planet ADD COLUMN mass integer NOT NULL DEFAULT 7",
    "postgres": "CREATE INDEX by_gen ON planet (gen) WHERE gen > 0;"
    "ALTER TABLE planet ADD mass integer NOT NULL DEFAULT 7, ADD CHECK (mass > 0)",
    "mariadb": "CREATE INDEX by_gen ON planet (gen);"
    "ALTER TABLE planet ADD mass integer NOT NULL DEFAULT 7, ADD CHECK (mass > 0)",
}


def test_the_rows_are_those_of_the_migrations_and_the_structure_is_that_of_live(
    database: LiveDatabase,
) -> None:
    run_all(ADDED[database.project.engine])
    before = database.structure()

    take_over(database)
    database.promote(database.staging, database.undo)

    assert database.structure() == before
    assert generations(database) - {7} == {2}
    live = database.live()
    assert [row[1:] for row in live["planet"]] == [("planet 10", 2, 7), ("two", 2, 7)]
    assert ("space", "0001_live") in live["django_migrations"]


def test_a_column_that_live_lacks_is_refused_by_name(database: LiveDatabase) -> None:
    before = database.live()

    with pytest.raises(DoesNotFit, match=r"columns that its migrations make: .*mass") as refusal:
        take_over(database, "ALTER TABLE moon ADD COLUMN mass integer DEFAULT 1")

    assert refusal.value.obj == "table moon"
    assert "--rebuild" in refusal.value.hint
    assert database.live() == before


def test_rows_that_live_s_tables_refuse_are_told_with_the_constraint(
    database: LiveDatabase,
) -> None:
    run_all("UPDATE planet SET gen = id; CREATE UNIQUE INDEX one_of_a_kind ON planet (gen)")

    with pytest.raises(DoesNotFit, match=r"planet|one_of_a_kind") as refusal:
        take_over(database)

    assert "--rebuild" in refusal.value.hint


MASS = (
    "ALTER TABLE planet ADD COLUMN mass numeric(6, 3)",
    "UPDATE planet SET mass = 1.234, name = 'Großer' WHERE id = 10",
)


def test_rows_that_became_others_when_they_were_copied_are_refused_by_table(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_all(MASS[0])
    before, copy = database.live(), database.engine.copy_from_schema

    def faulty(schema: str, tables: Sequence[str]) -> None:
        copy(schema, tables)
        run_all("UPDATE planet SET mass = 1.235 WHERE id = 10")

    monkeypatch.setattr(database.engine, "copy_from_schema", faulty)
    with pytest.raises(DoesNotFit, match=r"table planet: (mass|some column) Hint"):
        take_over(database, *MASS, compared=[planet_with_mass()])

    assert database.live() == before


@pytest.mark.parametrize("engine", ["postgres", "mariadb"], indirect=True)
def test_rows_that_columns_of_live_round_are_refused(database: LiveDatabase) -> None:
    run_all("ALTER TABLE planet ADD mass numeric(6, 1)")

    with pytest.raises(DoesNotFit, match="table planet: mass") as refusal:
        take_over(database, *MASS, compared=[planet_with_mass()])

    assert "--rebuild" in refusal.value.hint


WIDENED = {
    "postgres": "ALTER TABLE planet ALTER name TYPE text, ALTER gen TYPE bigint;"
    "ALTER TABLE planet ADD mass numeric(12, 6)",
    "mariadb": "ALTER TABLE planet MODIFY name varchar(200) CHARACTER SET latin1 NOT NULL,"
    "MODIFY gen bigint NOT NULL; ALTER TABLE planet ADD mass numeric(12, 6)",
}


@pytest.mark.parametrize("engine", ["postgres", "mariadb"], indirect=True)
def test_rows_are_the_same_in_wider_columns_of_live(database: LiveDatabase) -> None:
    run_all(WIDENED[database.project.engine])

    take_over(database, *MASS, compared=[planet_with_mass()])
    database.promote(database.staging, database.undo)

    assert {str(row[-1]) for row in database.live()["planet"]} == {"1.234000", "None"}


@on_postgres
def test_values_of_types_that_migrations_make_become_those_of_live_s_types(
    database: LiveDatabase,
) -> None:
    colours = (
        "CREATE TYPE colour AS ENUM ('red', 'blue'); ALTER TABLE planet ADD COLUMN hue colour;"
        "ALTER TABLE planet ADD COLUMN hues colour[]"
    )
    run_all(colours)

    take_over(
        database, f"{colours}; UPDATE planet SET hue = 'blue', hues = ARRAY['red', NULL]::colour[]"
    )
    database.promote(database.staging, database.undo)
    database.engine.drop(database.staging)
    database.engine.drop(database.undo)

    with database.client() as client:
        found = client.execute("SELECT DISTINCT hue::text, hues::text FROM planet").fetchall()
    assert found == [("blue", "{red,NULL}")]


@on_postgres
def test_the_structure_is_the_same_to_the_letter_with_every_kind_of_object(
    grown: LiveDatabase,
) -> None:
    """T24, T25, T26, T31."""
    found = every_object.structure(grown)

    with grown.client() as client:
        added = client.execute(OTHERS, [list(every_object.CLONED)]).fetchall()

    take_over(grown, EVENT, *(made for (made,) in added), tables=list(every_object.CLONED))
    assert grown.engine.differences(grown.staging, every_object.CLONED) == []
    grown.rehearse(every_object.PROMOTED)
    assert every_object.structure(grown) == found
    grown.engine.promote(
        grown.staging,
        tables=every_object.PROMOTED,
        apps=["space"],
        keep=grown.undo,
        record=lambda: None,
    )
    grown.engine.drop(grown.staging)

    with grown.client() as client:
        assert client.execute("SELECT tableoid::regclass::text FROM event").fetchall() == [
            ("event_2025_ab",)
        ]
    now = every_object.structure(grown)
    assert every_object.but_for_arrays(now) == every_object.but_for_arrays(found)
