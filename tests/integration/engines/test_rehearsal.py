"""The swap of a promote is rehearsed against an empty clone of live, and live is not locked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from backup_tasks.engines.mariadb.rename_swap import RenameSwap
from backup_tasks.errors import DoesNotFit
from tests.integration.engines.live_database import TABLES, LiveDatabase, run_all

# As long as the transaction is open, nobody else gets more than what a SELECT takes.
HELD = {
    "sqlite": ("BEGIN IMMEDIATE", "UPDATE planet SET gen = 1"),
    "postgres": ("BEGIN", "LOCK TABLE planet, moon, probe, django_migrations IN EXCLUSIVE MODE"),
    "mariadb": ("BEGIN", *(f"UPDATE {name} SET id = id" for name in (*TABLES, "probe"))),
}
on_postgres = pytest.mark.parametrize("engine", ["postgres"], indirect=True)


@contextmanager
def held(database: LiveDatabase) -> Iterator[None]:
    """Live's tables are locked by a client."""
    with database.client() as client:
        for statement in HELD[database.project.engine]:
            client.execute(statement)
        yield
        client.execute("ROLLBACK")


def test_a_rehearsal_waits_for_no_client_and_leaves_staging_to_be_promoted(
    database: LiveDatabase,
) -> None:
    before, structure = database.live(), database.structure()
    database.make_staging(generation=2)

    with held(database):
        database.rehearse()

    assert (database.live(), database.structure()) == (before, structure)
    assert database.engine.schemas() == [database.staging]
    database.promote(database.staging, database.undo)
    assert {row[-1] for row in database.live()["planet"]} == {2}
    assert database.structure() == structure


def test_a_clone_is_rehearsed_too(database: LiveDatabase) -> None:
    assert database.engine.clone(database.staging, [*TABLES, "probe"]) == []
    database.load(generation=2, moons=4)
    database.rehearse()
    database.rehearse()
    assert database.engine.schemas() == [database.staging]


def test_rows_that_stay_and_would_refer_to_nothing_refuse_it(database: LiveDatabase) -> None:
    """Only the real live has them: its clone is empty."""
    database.make_staging(generation=2, moons=0)

    for attempt in (database.rehearse, lambda: database.promote(database.staging, database.undo)):
        with pytest.raises(DoesNotFit, match="would refer to") as refusal:
            attempt()
        assert "probe" in refusal.value.what
        assert "moon" in refusal.value.what

    assert database.engine.schemas() == [database.staging]


def test_rows_that_refer_to_rows_that_stay_are_found(database: LiveDatabase) -> None:
    """The clone has those of live's rows that staging refers to, and no others."""
    probes = ["probe"]
    database.make_staging()

    def rehearse(moon: int) -> None:
        with database.engine.at(database.staging), database.engine.loading(probes, attempt=1):
            database.engine.write("probe", ["id", "moon_id"], [[1, moon]])
        database.rehearse(probes)

    rehearse(101)
    if database.project.engine == "sqlite":  # its load looks for them
        return
    run_all("DELETE FROM probe; DELETE FROM moon WHERE id = 101")
    with pytest.raises(DoesNotFit, match="would refer to"):
        rehearse(101)


@on_postgres
def test_no_statement_of_a_rehearsal_locks_live_more_than_a_select(
    database: LiveDatabase,
) -> None:
    run_all(
        "CREATE VIEW seen AS SELECT * FROM moon; CREATE MATERIALIZED VIEW kept AS TABLE planet;"
        "CREATE SCHEMA theirs; CREATE TABLE theirs.visit (planet bigint REFERENCES planet)"
    )
    database.make_staging()
    locks: set[Any] = set()

    def watch(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        try:
            return execute(sql, params, many, context)
        finally:
            if context["connection"].in_atomic_block and "pg_locks" not in sql:
                with context["connection"].cursor() as cursor:
                    cursor.execute(
                        "SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c"
                        " ON c.oid = l.relation WHERE l.pid = pg_backend_pid()"
                        " AND c.relnamespace::regnamespace::text IN ('public', 'theirs')"
                    )
                    locks.update(cursor.fetchall())

    with connections["default"].execute_wrapper(watch):
        database.rehearse()

    assert ("planet", "AccessShareLock") in locks
    assert {mode for _, mode in locks} == {"AccessShareLock"}


VIEW = "CREATE SCHEMA theirs; CREATE VIEW theirs.named AS SELECT id, name FROM planet"
FUNCTION = "CREATE FUNCTION latest() RETURNS int BEGIN ATOMIC SELECT max(gen) FROM moon; END"
VISIT = """
    CREATE SCHEMA theirs;
    CREATE TABLE theirs.visit (name varchar(20) CONSTRAINT visited REFERENCES planet (name))
"""
TRIGGER = """
    CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        IF tg_tag = 'ALTER TABLE' AND current_query() LIKE '%SET SCHEMA%'
        THEN RAISE 'nothing moves here'; END IF; END $$;
    CREATE EVENT TRIGGER still ON ddl_command_start EXECUTE FUNCTION no()
"""
COLOUR = "CREATE TYPE colour AS ENUM ('red'); ALTER TABLE planet ADD colour colour"
# What somebody made in live, what migrations made in staging, and what the refusal names.
REFUSED = {
    "a view of a column that is gone": (
        VIEW,
        "ALTER TABLE planet DROP COLUMN name",
        ("name", "theirs.named"),
    ),
    "a function of a column that is gone": (
        FUNCTION,
        "ALTER TABLE moon DROP COLUMN gen",
        ("gen", "latest"),
    ),
    "a foreign key of another schema to a key that is gone": (
        VISIT,
        "ALTER TABLE planet DROP CONSTRAINT planet_name_key",
        ("unique constraint", "planet"),
    ),
    "an event trigger": (TRIGGER, "SELECT 1", ("nothing moves here",)),
    "a column of a type that is replaced": (
        f"{COLOUR}; CREATE TABLE paint (hue colour)",
        COLOUR,
        ("column hue of table paint",),
    ),
}


@on_postgres
@pytest.mark.parametrize("case", REFUSED)
def test_what_only_a_promote_would_find_refuses_the_rehearsal(
    database: LiveDatabase, case: str
) -> None:
    in_live, in_staging, named = REFUSED[case]
    database.make_staging()
    with database.engine.at(database.staging):
        run_all(in_staging)
    with database.client() as client:
        client.execute(in_live)

    with pytest.raises(DoesNotFit) as refusal:
        database.rehearse()

    for name in named:
        assert name in refusal.value.what + refusal.value.obj
    assert "rehears" not in str(refusal.value)
    assert "Live data was not touched" in refusal.value.hint
    with database.client() as client:
        client.execute("DROP EVENT TRIGGER IF EXISTS still")
    assert database.engine.schemas() == [database.staging]


@on_postgres
def test_what_is_over_and_beside_the_tables_is_rehearsed(database: LiveDatabase) -> None:
    made = (
        "CREATE SCHEMA theirs; CREATE TABLE theirs.star (id bigint PRIMARY KEY);"
        "INSERT INTO theirs.star VALUES (5);"
        "ALTER TABLE planet ADD star bigint CONSTRAINT of_star REFERENCES theirs.star;"
        "CREATE TABLE theirs.visit (one bigint REFERENCES planet, two bigint REFERENCES planet);"
        "CREATE VIEW theirs.seen AS SELECT m.id, p.moon_id FROM moon m JOIN probe p ON p.id = m.id;"
        "CREATE MATERIALIZED VIEW kept AS SELECT name FROM planet;"
        "CREATE VIEW over_kept AS SELECT * FROM kept;"
        "CREATE FUNCTION moons() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM moon; END"
    )
    with database.client() as client:
        client.execute(made)
    assert database.engine.clone(database.staging, list(TABLES)) == []
    database.load(generation=2, moons=1)
    with database.client() as client:
        client.execute(f"UPDATE {database.staging}.planet SET star = 5")

    database.rehearse()

    with database.client() as client:
        client.execute(f"UPDATE {database.staging}.planet SET star = 6")
    with pytest.raises(DoesNotFit, match=r"\(star\)=\(6\).*theirs.star"):
        database.rehearse()


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
def test_a_rehearsal_that_died_in_the_middle_is_taken_back_by_the_next(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB renames the tables for good: those of staging are in the stand-in then."""
    database.make_staging()
    rename = RenameSwap._rename

    def and_die(swap: RenameSwap, cursor: Any) -> None:
        rename(swap, cursor)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RenameSwap, "_rename", and_die)
        patched.setattr(type(database.engine), "discard", lambda engine, schema: [])
        with pytest.raises(KeyboardInterrupt):
            database.rehearse()

    database.rehearse()

    assert database.engine.schemas() == [database.staging]
    database.promote(database.staging, database.undo)
    assert {row[-1] for row in database.live()["planet"]} == {2}
