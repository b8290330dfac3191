"""What hangs on live's tables and can't be carried over is refused by name (T25, T31)."""

import pytest
from django.db import connections, transaction

from backup_tasks.engines.postgresql import inventory
from backup_tasks.errors import DoesNotFit
from tests.integration.engines.live_database import TABLES, LiveDatabase, run_all


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have other objects."""
    name: str = request.param
    return name


PARTITIONED = """
    DROP TABLE probe, moon, planet;
    CREATE TABLE planet (id bigint) PARTITION BY RANGE (id);
"""
# What somebody made → what the refusal names, and what it says to do.
OBSTACLES = {
    f"CREATE SCHEMA theirs; {PARTITIONED}"
    "CREATE TABLE theirs.one PARTITION OF planet FOR VALUES FROM (0) TO (9)": (
        "table theirs.one: it is a partition in theirs, and its table is in public",
        "SET SCHEMA public",
    ),
    f"CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; {PARTITIONED}"
    "CREATE TABLE low PARTITION OF planet FOR VALUES FROM (0) TO (9) PARTITION BY LIST (id);"
    "CREATE FOREIGN TABLE far PARTITION OF low DEFAULT SERVER s": (
        "foreign table far: it is a foreign table",
        "EXCLUDE",
    ),
    f"{PARTITIONED} CREATE TABLE low PARTITION OF planet DEFAULT;"
    "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'low'::regclass": (
        "table low: its DETACH PARTITION CONCURRENTLY did not end",
        "FINALIZE",
    ),
    "DROP TABLE probe, moon, planet; CREATE TABLE planet (id bigint) PARTITION BY RANGE (id);"
    "ALTER TABLE planet RENAME TO sky; CREATE TABLE planet PARTITION OF sky DEFAULT": (
        "table planet: it is a partition of sky, which stays",
        "EXCLUDE",
    ),
    "CREATE TABLE comet () INHERITS (planet)": ("it takes part in inheritance", "EXCLUDE"),
    "CREATE TABLE old () ; ALTER TABLE moon INHERIT old": ("table moon: it takes part", "EXCLUDE"),
    "CREATE FUNCTION all_of() RETURNS SETOF planet LANGUAGE sql AS 'TABLE planet'": (
        "function all_of(): it would go on using the old type planet",
        "make it anew",
    ),
    "CREATE FUNCTION name_of(planet) RETURNS text LANGUAGE sql AS 'SELECT $1.name'": (
        "function name_of(planet)",
        "make it anew",
    ),
    "CREATE FUNCTION nothing() RETURNS int BEGIN ATOMIC SELECT (NULL::planet).gen; END": (
        "function nothing()",
        "make it anew",
    ),
    "CREATE TYPE pair AS (one planet, other planet)": ("composite type pair", "Drop it"),
    "CREATE TABLE log (was planet)": ("table log: it would go on using the old type", "Drop it"),
    "CREATE DOMAIN whole AS planet": ("type whole", "Drop it"),
    "CREATE TABLE mine (id bigint DEFAULT nextval('planet_id_seq'))": (
        "default value for column id of table mine",
        "Drop it",
    ),
    "CREATE RULE silent AS ON INSERT TO probe DO ALSO UPDATE moon SET gen = 5": (
        "rule silent on table probe",
        "Drop it",
    ),
    "CREATE VIEW v AS SELECT 1; CREATE RULE onto AS ON INSERT TO v DO INSTEAD DELETE FROM moon": (
        "rule onto on view v",
        "Drop it",
    ),
    "CREATE POLICY near ON probe USING (moon_id IN (SELECT id FROM moon))": (
        "policy near on table probe",
        "Drop it",
    ),
    "CREATE SCHEMA theirs; CREATE MATERIALIZED VIEW theirs.stored AS SELECT * FROM moon": (
        "theirs.stored",
        "Drop it",
    ),
    "CREATE SCHEMA theirs; CREATE STATISTICS theirs.spread ON name, gen FROM planet": (
        "statistics object theirs.spread: it is in another schema",
        "SET SCHEMA public",
    ),
    "CREATE PUBLICATION sky FOR TABLE planet; CREATE ROLE inv_us;"
    "ALTER TABLE planet OWNER TO inv_us; ALTER TABLE moon OWNER TO inv_us; SET LOCAL ROLE inv_us": (
        "publication sky: it names the table planet and belongs to postgres",
        "GRANT postgres TO inv_us",
    ),
    # A kind that no version has: a language that depends on a table.
    "INSERT INTO pg_depend SELECT 'pg_language'::regclass, oid, 0, 'pg_class'::regclass,"
    " 'planet'::regclass, 0, 'n' FROM pg_language WHERE lanname = 'sql'": (
        "language sql: it would go on using the old table planet",
        "Drop it",
    ),
    "CREATE PUBLICATION sky FOR ALL TABLES": ("publication sky: it publishes all", "REFRESH"),
    "CREATE SUBSCRIPTION sub CONNECTION '' PUBLICATION p WITH (connect = false);"
    "INSERT INTO pg_subscription_rel SELECT oid, 'moon'::regclass, 'r' FROM pg_subscription": (
        "subscription sub: it would go on filling the old table moon",
        "Drop it",
    ),
    "ALTER TABLE moon DISABLE TRIGGER ALL": (
        "table moon: the triggers of its foreign keys",
        "ENABLE TRIGGER ALL",
    ),
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE CONSTRAINT TRIGGER two AFTER INSERT ON moon FROM planet"
    " FOR EACH ROW EXECUTE FUNCTION f()": (
        "trigger two on table moon: it looks at another table",
        "Drop it",
    ),
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'moon_by_planet'::regclass": (
        "index moon_by_planet: it is not valid",
        "REINDEX",
    ),
    "CREATE EXTENSION citext; ALTER EXTENSION citext ADD TABLE moon": (
        "table moon: it is a part of extension citext",
        "EXCLUDE",
    ),
    "CREATE ROLE inv_other; CREATE ROLE inv_us; GRANT USAGE ON SCHEMA public TO inv_us;"
    "ALTER TABLE moon OWNER TO inv_other; SET LOCAL ROLE inv_us": (
        "table moon: it belongs to inv_other",
        "GRANT inv_other TO inv_us",
    ),
    "CREATE ROLE inv_us; ALTER TABLE planet OWNER TO inv_us; ALTER TABLE moon OWNER TO inv_us;"
    "CREATE SCHEMA theirs; CREATE VIEW theirs.seen AS SELECT gen FROM moon;"
    "SET LOCAL ROLE inv_us": (
        "theirs.seen: it belongs to postgres",
        "GRANT postgres",
    ),
}


def test_each_kind_that_is_not_carried_is_named_with_what_to_do(database: LiveDatabase) -> None:
    database.engine.rehearse_promote(TABLES)
    connection = connections["default"]
    for made, (name, remedy) in OBSTACLES.items():
        with transaction.atomic():
            run_all("SET LOCAL allow_system_table_mods = on")
            with connection.cursor() as cursor:
                cursor.execute(made)
            with pytest.raises(DoesNotFit) as refusal:
                database.engine.rehearse_promote(TABLES)
            assert name in refusal.value.what, made
            assert remedy in refusal.value.hint, made
            assert len(str(refusal.value)) < 900
            transaction.set_rollback(True)


def test_a_promote_asks_too_and_changes_nothing(database: LiveDatabase) -> None:
    before = database.live()
    database.make_staging(generation=2)
    with database.client() as client:
        client.execute("CREATE TABLE comet () INHERITS (planet)")

    with pytest.raises(DoesNotFit, match="inheritance"):
        database.promote(database.staging, database.undo)

    assert database.live() == before


def test_what_a_later_server_keeps_about_tables_is_refused(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = inventory._KNOWN_CATALOGUES - {"pg_policy"}
    monkeypatch.setattr(inventory, "_KNOWN_CATALOGUES", known)
    database.engine.rehearse_promote(TABLES)
    run_all("CREATE POLICY mine ON moon")

    with pytest.raises(DoesNotFit, match="catalogue pg_policy: it has 1 entries"):
        database.engine.rehearse_promote(TABLES)


def test_a_security_label_is_carried_or_the_clone_is_refused_by_its_name(
    database: LiveDatabase,
) -> None:
    """No provider of labels comes with the server's packages: the row is all that there is of one,
    and the server refuses to make it again."""
    with database.client() as admin:
        admin.execute("SET allow_system_table_mods = on")
        admin.execute(
            "INSERT INTO pg_seclabel SELECT 'moon'::regclass, 'pg_class'::regclass, 0, 'selinux',"
            " 'system_u:object_r:sepgsql_table_t:s0'"
        )

    with pytest.raises(DoesNotFit, match="selinux") as refused:
        database.engine.clone(database.staging, TABLES)

    assert "security label selinux TABLE" in refused.value.obj
    assert "was not touched" in refused.value.hint
