"""Promote is atomic, and brings along everything that belongs to the tables."""

import sqlite3

import psycopg
import pymysql
import pytest

from backup_tasks.errors import DoesNotFit
from tests.integration.engines.live_database import LiveDatabase, generations, run_all

REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError, pymysql.IntegrityError)


def test_promote_replaces_the_tables_and_keeps_the_old_ones(database: LiveDatabase) -> None:
    before, structure = database.live(), database.structure()
    database.make_staging(generation=2)

    seconds = database.promote(database.staging, database.undo)

    live = database.live()
    assert [row[0] for row in live["moon"]] == [100, 101, 102, 103]
    assert generations(database) == {2}
    assert live["probe"] == before["probe"]
    assert live["django_migrations"] == [("other", "0001_initial"), ("space", "0002_staged")]
    assert database.structure() == structure
    assert 0 <= seconds < 5
    assert database.undo in database.engine.schemas()


def test_undo_is_a_promote_of_what_was_kept_and_can_be_undone(database: LiveDatabase) -> None:
    before, structure = database.live(), database.structure()
    database.make_staging(generation=2)
    database.promote(database.staging, database.undo)
    promoted = database.live()

    again = database.engine.schema_name("undo", "undo-20261122T223400-fghij")
    database.promote(database.undo, again)
    assert database.live() == before
    database.promote(again, database.engine.schema_name("undo", "undo-20261122T223500-klmno"))

    assert database.live() == promoted
    assert database.structure() == structure


def test_a_clone_can_be_promoted(database: LiveDatabase) -> None:
    structure = database.structure()
    assert database.engine.clone(database.staging, ["planet", "moon", "probe"]) == []
    database.load(generation=2, moons=3)
    database.promote(database.staging, database.undo)
    database.engine.drop(database.staging)
    database.engine.drop(database.undo)

    assert generations(database) == {2}
    assert database.structure() == structure


@pytest.mark.parametrize("made", ["migrated", "cloned"])
def test_the_next_row_gets_a_key_of_its_own_also_when_the_old_tables_are_gone(
    database: LiveDatabase, made: str
) -> None:
    """T9: the sequence is the new table's, and did not go with the old one."""
    if made == "cloned":
        database.engine.clone(database.staging, ["planet", "moon", "probe"])
        database.load(generation=2, moons=3)
    else:
        database.make_staging(generation=2, moons=3)
    if database.project.engine == "postgres":
        with database.engine.at(database.staging):
            run_all("SELECT setval(pg_get_serial_sequence('moon', 'id'), 102)")
    database.promote(database.staging, database.undo)
    database.engine.drop(database.staging)
    database.engine.drop(database.undo)

    with database.client() as client:
        client.execute("INSERT INTO moon (gen, planet_id) VALUES (2, 10)")
    assert [row[0] for row in database.live()["moon"]] == [100, 101, 102, 103]


def test_what_is_recorded_is_committed_with_the_promote_or_not_at_all(
    database: LiveDatabase,
) -> None:
    """Invariant 4: a second attempt sees by it what was done."""
    before = database.live()
    database.make_staging(generation=2)

    def refuse() -> None:
        database.note()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.promote(database.staging, database.undo, refuse)
    assert database.live() == before
    database.promote(database.staging, database.undo, database.note)

    assert [row[1] for row in database.live()["ledger"]] == ["promoted"]
    assert generations(database) == {2}


def test_a_table_that_live_lacks_is_created(database: LiveDatabase) -> None:
    database.make_staging(generation=2)
    run_all("DROP TABLE probe; DROP TABLE moon")

    database.promote(database.staging, database.undo)

    with database.client() as client:
        assert client.execute("SELECT count(*) FROM moon").fetchone() == (4,)


# Outside


def test_a_foreign_key_from_outside_leads_to_the_new_table(database: LiveDatabase) -> None:
    database.make_staging(generation=2)
    database.promote(database.staging, database.undo)
    database.engine.drop(database.undo)

    with database.client() as client:
        client.execute("INSERT INTO probe (moon_id) VALUES (103)")
        with pytest.raises(REFUSED):
            client.execute("INSERT INTO probe (moon_id) VALUES (4711)")


def test_rows_outside_that_would_refer_to_nothing_are_refused(database: LiveDatabase) -> None:
    """No silent loss: what stays outside must go on leading somewhere."""
    with database.client() as client:
        client.execute("INSERT INTO probe (moon_id) VALUES (101)")
    before = database.live()
    database.make_staging(generation=2, moons=1)

    with pytest.raises(DoesNotFit) as refused:
        database.promote(database.staging, database.undo)

    assert "probe" in str(refused.value)
    assert database.live() == before
    assert database.undo not in database.engine.schemas() or database.project.engine == "sqlite"


def test_a_view_shows_the_new_rows(database: LiveDatabase) -> None:
    """T14: on PostgreSQL it would go on showing the old table, under whatever name."""
    with database.client() as client:
        client.execute("CREATE VIEW bright AS SELECT gen FROM moon")
    database.make_staging(generation=2)

    database.promote(database.staging, database.undo)
    database.engine.drop(database.undo)

    with database.client() as client:
        assert client.execute("SELECT DISTINCT gen FROM bright").fetchall() == [(2,)]


@pytest.mark.parametrize("engine", ["postgres"])
def test_what_would_go_on_using_the_old_table_is_refused_by_name(database: LiveDatabase) -> None:
    """A rule, which can't be made anew: refused before anything has changed."""
    with database.client() as client:
        client.execute("CREATE RULE silent AS ON INSERT TO probe DO ALSO UPDATE moon SET gen = 5")
    before = database.live()
    database.make_staging(generation=2)

    with pytest.raises(DoesNotFit) as refused:
        database.promote(database.staging, database.undo)

    assert "probe" in str(refused.value)
    assert database.live() == before


@pytest.mark.parametrize("engine", ["postgres"])
def test_grants_of_other_roles_hold_for_the_new_table(database: LiveDatabase) -> None:
    with database.client() as client:
        client.execute("CREATE ROLE reporting_of_engines_test")
        try:
            client.execute("GRANT SELECT, UPDATE ON moon TO reporting_of_engines_test")
            granted = "SELECT relacl::text FROM pg_class WHERE oid = 'public.moon'::regclass"
            before = client.execute(granted).fetchone()
            database.make_staging(generation=2)
            database.promote(database.staging, database.undo)
            assert client.execute(granted).fetchone() == before
        finally:
            client.execute("DROP OWNED BY reporting_of_engines_test")
            client.execute("DROP ROLE reporting_of_engines_test")
