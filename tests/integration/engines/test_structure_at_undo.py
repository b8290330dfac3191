"""MariaDB and SQLite: what was added to live's tables since a promote is told before an undo takes
it away. (PostgreSQL: `test_recorded_structure`.)"""

import pytest

from backup_tasks.errors import DoesNotFit
from tests.integration.engines.live_database import (
    TABLES,
    LiveDatabase,
    generations,
    run_all,
)

AGAIN = "undo-20261122T223400-fghij"
TRIGGER = (
    "CREATE TRIGGER looks AFTER INSERT ON moon BEGIN UPDATE planet SET gen = gen WHERE id = 0; END"
)
CHANGED = {
    "mariadb": {
        "CREATE INDEX by_gen ON moon (gen)": "moon: index by_gen was added",
        "ALTER TABLE planet ADD mass int": "planet: column mass was added",
        "ALTER TABLE planet ADD CONSTRAINT few CHECK (gen < 99)": "planet: check few was added",
        "ALTER TABLE moon ALTER gen SET DEFAULT 7": "moon: column gen was changed",
        "ALTER TABLE moon ADD sun bigint, ADD CONSTRAINT of_sun FOREIGN KEY (sun) REFERENCES"
        " planet (id)": "moon: foreign key of_sun was added",
        "ALTER TABLE moon DROP INDEX moon_by_planet, ADD INDEX other (planet_id)": (
            "moon: index moon_by_planet was removed"
        ),
        "ALTER TABLE planet COMMENT 'of an administrator'": (
            "planet: options of the table was changed"
        ),
    },
    "sqlite": {
        "CREATE INDEX by_gen ON moon (gen)": "moon: index by_gen was added",
        "ALTER TABLE planet ADD mass int": "table planet was changed",
        TRIGGER: "moon: trigger looks was added",
        "DROP INDEX moon_by_planet": "moon: index moon_by_planet was removed",
        "DROP VIEW seen; CREATE VIEW seen AS SELECT id, gen FROM planet": "view seen was changed",
    },
}
SEEN = "CREATE VIEW seen AS SELECT id FROM planet"
CASES = [(engine, change) for engine, changes in CHANGED.items() for change in changes]


def change(database: LiveDatabase, statements: str) -> None:
    with database.client() as client:
        parts = [statements] if "TRIGGER" in statements else statements.split(";")
        for statement in parts:
            client.execute(statement)


def promoted(database: LiveDatabase) -> None:
    """Another promote of other migrations than those that live had."""
    change(database, SEEN)
    database.make_staging()
    database.promote(database.staging, database.undo)


@pytest.mark.parametrize(("engine", "changed"), CASES, indirect=["engine"])
def test_an_undo_tells_what_it_would_take_away_and_goes_on_when_it_is_accepted(
    database: LiveDatabase, changed: str
) -> None:
    promoted(database)
    before = database.structure()
    assert database.engine.structure_changes(database.undo, TABLES) == []
    change(database, changed)

    told = CHANGED[database.project.engine][changed]
    assert told in database.engine.structure_changes(database.undo, TABLES)

    database.engine.accept_structure(database.undo)
    assert database.engine.structure_changes(database.undo, TABLES) == []
    again = database.engine.schema_name("undo", AGAIN)
    database.promote(database.undo, again)
    assert generations(database) == {1}
    assert database.structure() == before
    assert database.engine.structure_changes(again, TABLES) == []


@pytest.mark.parametrize("engine", ["mariadb", "sqlite"], indirect=True)
def test_what_stays_in_live_is_no_reason(database: LiveDatabase) -> None:
    promoted(database)
    change(database, "CREATE VIEW more AS SELECT gen FROM moon")
    change(database, "CREATE TABLE aside (id integer)")
    change(database, "INSERT INTO planet (name) VALUES ('new')")

    assert database.engine.structure_changes(database.undo, TABLES) == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_with_the_same_migrations_an_undo_loses_the_values_of_columns_alone(
    database: LiveDatabase,
) -> None:
    assert database.engine.clone(database.staging, [*TABLES, "probe"]) == []
    database.load(generation=2, moons=2)
    database.promote(database.staging, database.undo)
    change(database, "CREATE INDEX by_gen ON moon (gen)")
    assert database.engine.structure_changes(database.undo, TABLES) == []
    change(database, "ALTER TABLE planet ADD mass int DEFAULT 7")
    again = database.engine.schema_name("undo", AGAIN)

    assert database.engine.structure_changes(database.undo, TABLES) == [
        "planet: column mass was added"
    ]
    with pytest.raises(DoesNotFit, match="column mass of planet is in live only"):
        database.promote(database.undo, again)

    database.engine.accept_structure(database.undo)
    database.promote(database.undo, again)
    assert [row[2:] for row in database.live()["planet"]] == [(1, 7), (1, 7)]
    assert any("by_gen" in row for row in database.structure())


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_tables_of_other_migrations_lack_is_named(database: LiveDatabase) -> None:
    """SQLite's promote of them makes live's tables anew."""
    database.make_staging()
    change(database, "CREATE INDEX by_gen ON moon (gen) WHERE gen > 1")
    change(database, TRIGGER)
    change(database, "ALTER TABLE planet ADD mass int")
    with database.engine.at(database.staging):
        run_all(
            "DROP TABLE probe; DROP TABLE moon;"
            "CREATE TABLE moon (id integer PRIMARY KEY, gen integer, planet_id bigint);"
            "CREATE INDEX moon_by_planet ON moon (planet_id)"
        )

    assert database.engine.missing_in(database.staging, TABLES) == [
        "AUTOINCREMENT of moon",
        "column mass of planet",
        "index by_gen of moon",
        "trigger looks of moon",
    ]

    with database.engine.at(database.staging):
        run_all("UPDATE django_migrations SET name = '0001_live' WHERE app = 'space'")
        run_all("UPDATE django_migrations SET name = '0001_initial' WHERE app = 'other'")
    assert database.engine.missing_in(database.staging, TABLES) == []
