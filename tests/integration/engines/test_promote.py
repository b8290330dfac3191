"""Promote: all of it or nothing, with everything that belongs to the tables."""

import sqlite3

import psycopg
import pymysql
import pytest

from backup_tasks.errors import DoesNotFit
from tests.integration.engines.ground import Ground, generations, run_all

REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError, pymysql.IntegrityError)


def test_promote_replaces_the_tables_and_keeps_the_old_ones(ground: Ground) -> None:
    before, structure = ground.live(), ground.structure()
    ground.make_staging(generation=2)

    seconds = ground.promote(ground.staging, ground.undo)

    live = ground.live()
    assert [row[0] for row in live["moon"]] == [100, 101, 102, 103]
    assert generations(ground) == {2}
    assert live["probe"] == before["probe"]
    assert live["django_migrations"] == [("other", "0001_initial"), ("space", "0002_staged")]
    assert ground.structure() == structure
    assert 0 <= seconds < 5
    assert ground.undo in ground.engine.schemas()


def test_undo_is_a_promote_of_what_was_kept_and_can_be_undone(ground: Ground) -> None:
    before, structure = ground.live(), ground.structure()
    ground.make_staging(generation=2)
    ground.promote(ground.staging, ground.undo)
    promoted = ground.live()

    again = ground.engine.schema_name("undo", "undo-20261122T223400-fghij")
    ground.promote(ground.undo, again)
    assert ground.live() == before
    ground.promote(again, ground.engine.schema_name("undo", "undo-20261122T223500-klmno"))

    assert ground.live() == promoted
    assert ground.structure() == structure


def test_a_clone_can_be_promoted(ground: Ground) -> None:
    structure = ground.structure()
    assert ground.engine.clone(ground.staging, ["planet", "moon", "probe"]) == []
    ground.load(generation=2, moons=3)
    ground.promote(ground.staging, ground.undo)
    ground.engine.drop(ground.staging)
    ground.engine.drop(ground.undo)

    assert generations(ground) == {2}
    assert ground.structure() == structure


@pytest.mark.parametrize("made", ["migrated", "cloned"])
def test_the_next_row_gets_a_key_of_its_own_also_when_the_old_tables_are_gone(
    ground: Ground, made: str
) -> None:
    """T9: the sequence is the new table's, and did not go with the old one."""
    if made == "cloned":
        ground.engine.clone(ground.staging, ["planet", "moon", "probe"])
        ground.load(generation=2, moons=3)
    else:
        ground.make_staging(generation=2, moons=3)
    if ground.project.engine == "postgres":
        with ground.engine.at(ground.staging):
            run_all("SELECT setval(pg_get_serial_sequence('moon', 'id'), 102)")
    ground.promote(ground.staging, ground.undo)
    ground.engine.drop(ground.staging)
    ground.engine.drop(ground.undo)

    with ground.client() as client:
        client.execute("INSERT INTO moon (gen, planet_id) VALUES (2, 10)")
    assert [row[0] for row in ground.live()["moon"]] == [100, 101, 102, 103]


def test_what_is_recorded_is_committed_with_the_promote_or_not_at_all(ground: Ground) -> None:
    """Invariant 4: a second attempt sees by it what was done."""
    before = ground.live()
    ground.make_staging(generation=2)

    def refuse() -> None:
        ground.note()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ground.promote(ground.staging, ground.undo, refuse)
    assert ground.live() == before
    ground.promote(ground.staging, ground.undo, ground.note)

    assert [row[1] for row in ground.live()["ledger"]] == ["promoted"]
    assert generations(ground) == {2}


def test_a_table_that_live_lacks_is_created(ground: Ground) -> None:
    ground.make_staging(generation=2)
    run_all("DROP TABLE probe; DROP TABLE moon")

    ground.promote(ground.staging, ground.undo)

    with ground.client() as client:
        assert client.execute("SELECT count(*) FROM moon").fetchone() == (4,)


# Outside


def test_a_foreign_key_from_outside_leads_to_the_new_table(ground: Ground) -> None:
    ground.make_staging(generation=2)
    ground.promote(ground.staging, ground.undo)
    ground.engine.drop(ground.undo)

    with ground.client() as client:
        client.execute("INSERT INTO probe (moon_id) VALUES (103)")
        with pytest.raises(REFUSED):
            client.execute("INSERT INTO probe (moon_id) VALUES (4711)")


def test_rows_outside_that_would_refer_to_nothing_are_refused(ground: Ground) -> None:
    """No silent loss: what stays outside must go on leading somewhere."""
    with ground.client() as client:
        client.execute("INSERT INTO probe (moon_id) VALUES (101)")
    before = ground.live()
    ground.make_staging(generation=2, moons=1)

    with pytest.raises(DoesNotFit) as refused:
        ground.promote(ground.staging, ground.undo)

    assert "probe" in str(refused.value)
    assert ground.live() == before
    assert ground.undo not in ground.engine.schemas() or ground.project.engine == "sqlite"


def test_a_view_shows_the_new_rows(ground: Ground) -> None:
    """T14: on PostgreSQL it would go on showing the old table, under whatever name."""
    with ground.client() as client:
        client.execute("CREATE VIEW bright AS SELECT gen FROM moon")
    ground.make_staging(generation=2)

    ground.promote(ground.staging, ground.undo)
    ground.engine.drop(ground.undo)

    with ground.client() as client:
        assert client.execute("SELECT DISTINCT gen FROM bright").fetchall() == [(2,)]


@pytest.mark.parametrize("engine", ["postgres"])
def test_what_would_go_on_using_the_old_table_is_refused_by_name(ground: Ground) -> None:
    """A rule, which can't be made anew: refused before anything has changed."""
    with ground.client() as client:
        client.execute("CREATE RULE silent AS ON INSERT TO probe DO ALSO UPDATE moon SET gen = 5")
    before = ground.live()
    ground.make_staging(generation=2)

    with pytest.raises(DoesNotFit) as refused:
        ground.promote(ground.staging, ground.undo)

    assert "probe" in str(refused.value)
    assert ground.live() == before


@pytest.mark.parametrize("engine", ["postgres"])
def test_grants_of_other_roles_hold_for_the_new_table(ground: Ground) -> None:
    with ground.client() as client:
        client.execute("CREATE ROLE reporting_of_engines_test")
        try:
            client.execute("GRANT SELECT, UPDATE ON moon TO reporting_of_engines_test")
            granted = "SELECT relacl::text FROM pg_class WHERE oid = 'public.moon'::regclass"
            before = client.execute(granted).fetchone()
            ground.make_staging(generation=2)
            ground.promote(ground.staging, ground.undo)
            assert client.execute(granted).fetchone() == before
        finally:
            client.execute("DROP OWNED BY reporting_of_engines_test")
            client.execute("DROP ROLE reporting_of_engines_test")
