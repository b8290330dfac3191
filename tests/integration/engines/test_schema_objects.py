"""Types, functions and the like that migrations make in staging come to live with the tables, and
go again with them (PostgreSQL)."""

import pytest
from django.db import DatabaseError, connections

from backup_tasks.engines import engine_for
from backup_tasks.errors import DoesNotFit
from tests.integration.engines.live_database import RUN, SCHEMA, TABLES, LiveDatabase
from tests.integration.engines.walled import look

MIGRATIONS = """
    CREATE TYPE size AS ENUM ('small', 'large'); ALTER TABLE planet ADD size size DEFAULT 'small';
    CREATE DOMAIN positive AS int CHECK (VALUE >= 0);
    ALTER TABLE moon ALTER gen TYPE positive;
    CREATE TYPE spot AS (x int, size size); ALTER TABLE planet ADD spots spot[];
    CREATE TYPE span AS RANGE (subtype = float8, multirange_type_name = spans);
    ALTER TABLE planet ADD span span, ADD spans spans DEFAULT spans(span(1, 2));
    CREATE COLLATION letters FROM "C"; ALTER TABLE planet ADD word text COLLATE letters;
    CREATE FUNCTION doubled(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
    ALTER TABLE planet ADD twice int GENERATED ALWAYS AS (doubled(gen)) STORED;
    CREATE INDEX twice_more ON planet (doubled(doubled(gen)));
    CREATE FUNCTION is_small(size) RETURNS bool IMMUTABLE LANGUAGE sql AS $$ SELECT $1 = 'small' $$;
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN NEW.word := coalesce(NEW.word, 'stamped'); RETURN NEW; END $$;
    CREATE TRIGGER stamped BEFORE INSERT ON planet FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int, initcond = '0');
    CREATE FUNCTION alike(size, size) RETURNS bool IMMUTABLE LANGUAGE sql
        AS 'SELECT $1::text = $2::text';
    CREATE OPERATOR === (leftarg = size, rightarg = size, procedure = alike);
    CREATE SEQUENCE counter; ALTER TABLE moon ADD number int DEFAULT nextval('counter');
    CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
    CREATE STATISTICS together ON name, gen FROM planet
"""
USED = """
    INSERT INTO planet (name, gen, spots) VALUES ('new', 5, ARRAY[ROW(1, 'large')::spot]);
    SELECT word, twice, size::text, spans::text, is_small(size), (spots[1]).x,
           (SELECT total(gen) FROM planet), size === 'small'::size, to_tsvector('plain', word)::text
      FROM planet WHERE name = 'new'
"""
ELSEWHERE = """
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)
      FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) o,
           LATERAL pg_identify_object(d.refclassid, d.refobjid, 0) r
     -- Up to version 14, those that initdb made are pinned by an entry of no class.
     WHERE d.deptype NOT IN ('i', 'p') AND r.schema ~ '^(staging|undo)_'
       AND position(r.schema IN o.identity) = 0
"""


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have no schemas."""
    name: str = request.param
    return name


def migrated_staging(database: LiveDatabase) -> None:
    """Make staging as migrations do, with rows of a second generation."""
    database.engine.create(database.staging)
    with database.engine.at(database.staging), connections["default"].cursor() as cursor:
        cursor.execute(SCHEMA["postgres"])
        cursor.execute(MIGRATIONS)
    database.load(generation=2, moons=2)


def undo(database: LiveDatabase) -> str:
    """Undo the promote; return the schema that is then left."""
    second = database.engine.schema_name("undo", RUN[:-1] + "f")
    engine_for("default").promote(
        database.undo, tables=TABLES, apps=["space"], keep=second, record=lambda: None
    )
    return second


@pytest.mark.parametrize("before", ["live has them too", "live has none"])
def test_they_come_with_the_tables_and_go_with_them(database: LiveDatabase, before: str) -> None:
    with database.client() as client:
        if before == "live has them too":
            client.execute(MIGRATIONS)
    was = look(database)
    migrated_staging(database)

    database.promote(database.staging, database.undo)

    assert database.engine.discard(database.staging) == []
    with database.client() as client:
        assert client.execute(ELSEWHERE).fetchall() == []
        for statement in USED.split(";\n"):
            found = client.execute(statement)
        assert found.fetchall() == [
            ("stamped", 10, "small", "{[1,2)}", True, 1, 9, True, "'stamped':1")
        ]
        client.execute("DELETE FROM planet WHERE name = 'new'")

    for left in (undo(database), database.undo):
        assert database.engine.discard(left) == []
    assert look(database) == was


def test_grants_and_comments_of_those_that_are_replaced_stay(database: LiveDatabase) -> None:
    with database.client() as client:
        client.execute(MIGRATIONS)
        client.execute("CREATE ROLE reader; COMMENT ON FUNCTION doubled IS 'twice as much'")
        client.execute(
            "REVOKE ALL ON FUNCTION doubled FROM PUBLIC; REVOKE ALL ON TYPE size FROM PUBLIC"
        )
        client.execute("GRANT EXECUTE ON FUNCTION doubled TO reader WITH GRANT OPTION")
        client.execute(
            "GRANT USAGE ON SEQUENCE counter TO reader; GRANT USAGE ON TYPE size TO reader"
        )
        asked = (
            "SELECT proacl::text, obj_description('doubled'::regproc), typacl::text, relacl::text"
            " FROM pg_proc, pg_type, pg_class WHERE pg_proc.oid = 'doubled'::regproc"
            " AND pg_type.oid = 'size'::regtype AND pg_class.oid = 'counter'::regclass"
        )
        granted = client.execute(asked).fetchall()
        try:
            migrated_staging(database)
            database.promote(database.staging, database.undo)
            assert client.execute(asked).fetchall() == granted
        finally:
            client.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_a_promote_after_which_something_would_use_the_old_ones_is_refused(
    database: LiveDatabase,
) -> None:
    with database.client() as client:
        client.execute(MIGRATIONS)
        client.execute("CREATE TABLE report (id int, size size)")
    migrated_staging(database)
    before = look(database)

    with pytest.raises(DoesNotFit, match="column size of table report") as refused:
        database.promote(database.staging, database.undo)

    assert "was not touched" in refused.value.hint
    assert look(database) == before


def test_what_staging_uses_of_live_is_live_s_own(database: LiveDatabase) -> None:
    """Clones use live's types: none is moved."""
    with database.client() as client:
        client.execute(MIGRATIONS)
        client.execute("ALTER TABLE moon ALTER number DROP DEFAULT")
    before = look(database)
    assert database.engine.clone(database.staging, TABLES) == []
    database.load(generation=2, moons=2)

    database.promote(database.staging, database.undo)
    for left in (undo(database), database.undo, database.staging):
        assert database.engine.discard(left) == []

    assert look(database) == before
    with pytest.raises(DatabaseError), connections["default"].cursor() as cursor:
        cursor.execute("SELECT 'medium'::size")


def test_extended_statistics_of_an_administrator_are_made_over_the_new_tables(
    database: LiveDatabase,
) -> None:
    database.make_staging()
    asked = "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext ORDER BY 1"
    with database.client() as admin:
        admin.execute("CREATE STATISTICS spread (mcv) ON name, gen FROM planet")
        before = admin.execute(asked).fetchall()
        database.promote(database.staging, database.undo)
        assert database.engine.discard(database.undo) == []
        assert admin.execute(asked).fetchall() == before
