"""What a name without a schema means in staging on PostgreSQL: staging's own first, and live's
types, functions, operators, collations and extensions after it; live's tables never."""

import pytest
from django.db import IntegrityError, connections, transaction

from backup_tasks.errors import LeftStaging
from tests.integration.engines.live_database import TABLES, LiveDatabase

EXTENSIONS = """
    CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm; CREATE EXTENSION ltree;
    CREATE EXTENSION earthdistance CASCADE;
    CREATE COLLATION german FROM "C"; CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
    CREATE FUNCTION doubled(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
    CREATE FUNCTION fourfold(int) RETURNS int IMMUTABLE LANGUAGE plpgsql
        AS 'BEGIN RETURN doubled(doubled($1)); END'
"""


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have no schemas."""
    name: str = request.param
    return name


def in_staging(database: LiveDatabase, *texts: str) -> list[tuple[object, ...]]:
    """Send the texts in one transaction on staging; return the rows that the last one gave."""
    with (
        database.engine.at(database.staging),
        transaction.atomic(),
        connections["default"].cursor() as cursor,
    ):
        for text in texts:
            cursor.execute(text)
        return cursor.fetchall() if cursor.description else []


def in_live(database: LiveDatabase, script: str) -> None:
    """Run statements in live, as an administrator does."""
    with database.client() as client:
        client.execute(script)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE planet ADD facts hstore DEFAULT 'a=>1'",
        "SELECT hstore('a', 'b') ? 'a'",
        "CREATE INDEX alike ON planet USING gin (name gin_trgm_ops)",
        "SELECT name % 'planet' FROM planet",
        "ALTER TABLE planet ADD path ltree",
        "SELECT earth_distance(ll_to_earth(1, 1), ll_to_earth(2, 2))",
        "ALTER TABLE planet ADD german_name text COLLATE german",
        "SELECT to_tsvector('plain', name) FROM planet",
        "ALTER TABLE planet ADD twice int GENERATED ALWAYS AS (doubled(gen)) STORED",
        "ALTER TABLE planet ADD CHECK (fourfold(gen) >= 0)",
        "DROP INDEX IF EXISTS alike; CREATE INDEX alike ON planet USING gin (name gin_trgm_ops)",
    ],
)
def test_what_live_finds_without_a_schema_is_found(walled: LiveDatabase, statement: str) -> None:
    in_live(walled, EXTENSIONS)
    before = walled.structure()

    in_staging(walled, statement)
    walled.load(generation=5, moons=2)

    assert walled.structure() == before


@pytest.mark.parametrize(
    ("drop", "create"),
    [
        ("FUNCTION IF EXISTS there()", "FUNCTION there() RETURNS int LANGUAGE sql AS 'SELECT 2'"),
        ("TYPE IF EXISTS colour", "TYPE colour AS ENUM ('green')"),
        ("DOMAIN IF EXISTS above CASCADE", "DOMAIN above AS bigint"),
        ("VIEW IF EXISTS seen", "VIEW seen AS SELECT id FROM planet"),
        ("INDEX IF EXISTS only_live", "INDEX only_live ON moon (gen)"),
        ("TABLE IF EXISTS ledger", "TABLE ledger (id int)"),
        ("SEQUENCE IF EXISTS counter", "SEQUENCE counter"),
    ],
)
def test_what_is_dropped_if_it_exists_is_staging_s(
    walled: LiveDatabase, drop: str, create: str
) -> None:
    in_live(
        walled,
        "CREATE VIEW seen AS SELECT name FROM planet; CREATE INDEX only_live ON moon (gen);"
        "CREATE SEQUENCE counter",
    )
    before = walled.structure()

    for text in (f"DROP {drop}; CREATE {create}", f"DROP {drop}", f"CREATE {create}"):
        in_staging(walled, text)

    assert walled.structure() == before
    with walled.client() as client:
        assert client.execute("SELECT there(), 'red'::colour::text").fetchall() == [(1, "red")]
        client.execute("SELECT nextval('counter'), count(*) FROM seen")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM public.planet",
        "SELECT * FROM ledger",
        "INSERT INTO planet (name) SELECT entry FROM ledger",
        "CREATE VIEW seen AS SELECT * FROM public.planet",
        "SELECT count_ledger()",
        "LOCK TABLE ledger IN ACCESS SHARE MODE",
    ],
)
def test_reading_a_table_of_live_is_refused_by_its_name(
    walled: LiveDatabase, statement: str
) -> None:
    in_live(
        walled,
        "CREATE FUNCTION count_ledger() RETURNS bigint LANGUAGE plpgsql"
        " AS 'BEGIN RETURN (SELECT count(*) FROM ledger); END'",
    )
    table = "public.planet" if "public.planet" in statement else "public.ledger"

    with pytest.raises(LeftStaging, match=f"table {table} ") as refused:
        in_staging(walled, "DROP TABLE IF EXISTS ledger", statement)  # staging has none

    assert "was not touched" in refused.value.hint


def test_a_table_that_belongs_to_an_extension_may_be_read(walled: LiveDatabase) -> None:
    in_live(
        walled,
        "CREATE EXTENSION hstore; CREATE TABLE reference_systems (id int);"
        "INSERT INTO reference_systems VALUES (4326);"
        "ALTER EXTENSION hstore ADD TABLE reference_systems",
    )

    assert in_staging(walled, "SELECT id FROM reference_systems") == [(4326,)]


def test_staging_s_own_come_first_and_are_all_the_tables_that_there_are(
    walled: LiveDatabase,
) -> None:
    in_staging(
        walled,
        "DROP TABLE IF EXISTS probe",
        "CREATE FUNCTION there() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    )

    assert in_staging(walled, "SELECT there(), max(gen) FROM planet") == [(2, 2)]
    with walled.engine.at(walled.staging):
        tables = connections["default"].introspection.table_names()

    assert "planet" in tables
    assert "probe" not in tables


def test_keys_that_an_extension_calls_equal_refer_to_one_another(walled: LiveDatabase) -> None:
    """citext's own operators decide, as in live: those of text would tell the letters apart."""
    in_live(
        walled,
        "CREATE EXTENSION citext; ALTER TABLE planet ALTER name TYPE citext;"
        "ALTER TABLE moon ADD planet_name citext REFERENCES planet (name)",
    )
    assert walled.engine.clone(walled.staging, TABLES) == []

    def load(name: str) -> None:
        with walled.engine.at(walled.staging), walled.engine.loading(TABLES, attempt=1):
            walled.engine.write("planet", ["id", "name", "gen"], [[10, "planet 10", 2]])
            row = [100, 2, 10, name]
            walled.engine.write("moon", ["id", "gen", "planet_id", "planet_name"], [row])

    load("PLANET 10")
    assert in_staging(walled, "SELECT planet_name::text FROM moon") == [("PLANET 10",)]
    with pytest.raises(IntegrityError):
        load("planet 11")
