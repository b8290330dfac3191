"""Removing a schema of ours: nothing that hangs on it from outside goes with it (T25)."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from backup_tasks.engines import engine_for
from backup_tasks.errors import StillReferenced
from backup_tasks.models import Run, UndoPoint
from backup_tasks.steps import Work
from backup_tasks.steps.prune import prune
from tests.integration.engines.live_database import SCHEMA, LiveDatabase, run_all
from tests.services import Project


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have no schemas."""
    name: str = request.param
    return name


# What an administrator made on kept tables → what is to be still there, and how the
# refusal calls it.
HANGING = {
    "a child made by INHERITS": (
        (
            "CREATE TABLE comet (tail int) INHERITS (OLD.planet);"
            "INSERT INTO comet VALUES (5, 'x', 1, 2)"
        ),
        "SELECT count(*) FROM comet",
        "table comet",
    ),
    "a function of SQL": (
        "CREATE FUNCTION planets() RETURNS int BEGIN ATOMIC SELECT min(gen) FROM OLD.planet; END",
        "SELECT count(*) FROM pg_proc WHERE proname = 'planets'",
        "function planets()",
    ),
    "a function that returns rows": (
        "CREATE FUNCTION heavy() RETURNS SETOF OLD.planet LANGUAGE sql AS 'TABLE OLD.planet'",
        "SELECT count(*) FROM pg_proc WHERE proname = 'heavy'",
        "function heavy()",
    ),
    "a foreign key of another schema": (
        (
            "CREATE SCHEMA theirs; CREATE TABLE theirs.visit (planet bigint CONSTRAINT visited"
            " REFERENCES OLD.planet (id)); INSERT INTO theirs.visit VALUES (10)"
        ),
        "SELECT count(*) FROM pg_constraint WHERE conname = 'visited'",
        "constraint visited on table theirs.visit",
    ),
    "a publication": (
        "CREATE PUBLICATION sky FOR TABLE OLD.planet",
        "SELECT count(*) FROM pg_publication_rel",
        "in publication sky",
    ),
    "a partition": (
        (
            "CREATE TABLE orbit (at int) PARTITION BY RANGE (at);"
            "CREATE TABLE early PARTITION OF orbit FOR VALUES FROM (0) TO (9);"
            "INSERT INTO orbit VALUES (1)"
        ),
        "SELECT count(*) FROM early",
        "table early",
    ),
    "a column that counts on": (
        "CREATE TABLE mine (id bigint DEFAULT nextval('OLD.planet_id_seq'))",
        "SELECT count(*) FROM pg_attrdef WHERE adrelid = 'mine'::regclass",
        "default value for column id of table mine",
    ),
    "statistics": (
        "CREATE SCHEMA apart; CREATE STATISTICS apart.spread ON name, gen FROM OLD.planet",
        "SELECT count(*) FROM pg_statistic_ext",
        "statistics object apart.spread",
    ),
}


@pytest.mark.parametrize("kind", HANGING)
def test_what_hangs_on_kept_tables_is_named_and_nothing_is_dropped(
    database: LiveDatabase, kind: str
) -> None:
    made, there, name = HANGING[kind]
    database.make_staging()
    with database.client() as admin:
        database.promote(database.staging, database.undo)
        admin.execute(made.replace("OLD", database.undo))
        if kind == "a partition":  # the parent leaves, its partitions stay where they are
            admin.execute(f"ALTER TABLE orbit SET SCHEMA {database.undo}")
        before = admin.execute(there).fetchall()
        assert before != [(0,)]

        with pytest.raises(StillReferenced) as refusal:
            database.engine.drop(database.undo)

        assert name in refusal.value.what
        assert len(str(refusal.value)) < 600
        assert admin.execute(there).fetchall() == before
        assert database.undo in database.engine.schemas()
        assert admin.execute(f"SELECT count(*) FROM ONLY {database.undo}.planet").fetchall() == [
            (2,)
        ]


def test_what_is_inside_goes_whatever_uses_what(database: LiveDatabase) -> None:
    """T24: statistics, functions, types and views, in any order, and tables that refer to each
    other."""
    before, structure = database.live(), database.structure()
    database.make_staging()
    with database.client() as admin:
        admin.execute(f"SET search_path = {database.staging}")
        admin.execute("""
            CREATE VIEW seen AS SELECT * FROM planet;
            CREATE MATERIALIZED VIEW stored AS SELECT * FROM seen;
            CREATE VIEW shown AS SELECT * FROM stored;
            CREATE TYPE size AS ENUM ('small'); CREATE DOMAIN above AS int CHECK (VALUE > 0);
            CREATE FUNCTION sized(planet) RETURNS size LANGUAGE sql AS $$ SELECT 'small'::size $$;
            CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER touched BEFORE INSERT ON moon
                FOR EACH ROW EXECUTE FUNCTION touched();
            ALTER TABLE planet ADD size size DEFAULT 'small', ADD above above, ADD moon bigint
                REFERENCES moon (id);
            CREATE STATISTICS spread ON name, gen FROM planet;
            CREATE TABLE child () INHERITS (planet);
            CREATE SEQUENCE loose; CREATE COLLATION mine FROM "C";
            CREATE TABLE part (at int) PARTITION BY RANGE (at);
            CREATE TABLE early PARTITION OF part FOR VALUES FROM (0) TO (9);
        """)

    database.engine.drop(database.staging)

    assert database.engine.schemas() == []
    assert (database.live(), database.structure()) == (before, structure)


def test_a_view_of_somebody_over_staging_is_not_dropped_with_it(database: LiveDatabase) -> None:
    database.make_staging()
    with database.client() as admin:
        admin.execute(f"CREATE VIEW peeping AS SELECT * FROM {database.staging}.planet")

        assert "view peeping" in " ".join(database.engine.discard(database.staging))

        assert admin.execute("SELECT count(*) FROM peeping").fetchall() == [(2,)]
        admin.execute("DROP VIEW peeping")
    assert database.engine.discard(database.staging) == []
    assert database.engine.schemas() == []


def test_a_load_empties_what_refers_to_its_tables_in_staging_and_nothing_elsewhere(
    database: LiveDatabase,
) -> None:
    database.make_staging()
    with database.client() as admin:
        admin.execute(f"""
            SET search_path = {database.staging};
            INSERT INTO probe (moon_id) VALUES (100);
            CREATE TABLE log (probe bigint REFERENCES probe (id)); INSERT INTO log VALUES (1);
            CREATE TABLE public.watch (moon bigint REFERENCES moon (id));
        """)
        with pytest.raises(Exception, match="watch"):
            database.load(generation=3, moons=1)
        admin.execute("DROP TABLE public.watch")
        database.load(generation=3, moons=1)
        assert admin.execute("SELECT count(*) FROM log").fetchall() == [(0,)]


def test_prune_goes_on_and_says_what_it_had_to_keep(on_project: Project, tmp_path: Path) -> None:
    long_ago = timezone.now() - timedelta(days=9)
    engine = engine_for("default")
    points = []
    for letter in "ab":
        run = Run.objects.create(pk=f"restore-20261101T000000-{letter * 5}", state="succeeded")
        schema = engine.schema_name("undo", run.pk)
        engine.create(schema)
        with engine.at(schema):
            run_all(SCHEMA["postgres"])
        points.append(
            UndoPoint.objects.create(
                run=run, schema=schema, tables=[], apps=[], expires_at=long_ago, files_done=True
            )
        )
    kept, expired = points
    with connections["default"].cursor() as cursor:
        cursor.execute(f"CREATE TABLE comet () INHERITS ({kept.schema}.planet)")

    result = prune(
        Work(
            run_id="prune",
            attempt=1,
            kind="prune",
            params={},
            results={},
            hosts={},
            workspace=tmp_path,
            progress=lambda *_: None,
            still_mine=lambda: None,
            holds=lambda: None,
            reads=lambda *_: None,
        )
    )

    assert result["expired"] == [expired.run_id]
    assert "table comet" in " ".join(result["warnings"])
    assert engine.schemas() == [kept.schema]
    assert UndoPoint.objects.get() == kept
