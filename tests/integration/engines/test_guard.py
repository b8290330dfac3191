"""What runs in staging on PostgreSQL can't change live, whatever it names (invariant 11)."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import DatabaseError, connections, transaction

from backup_tasks.errors import (
    BackupError,
    DoesNotFit,
    LeftStaging,
    Misconfigured,
)
from tests.integration.engines.live_database import LiveDatabase, run_all
from tests.integration.engines.walled import look


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have no schemas."""
    name: str = request.param
    return name


# What code of the project's may send → how the refusal calls what it would have changed.
OUTSIDE = {
    "UPDATE public.planet SET gen = 7": "table public.planet (RowExclusiveLock)",
    "INSERT INTO public.planet (name) VALUES ('x')": "table public.planet",
    "DELETE FROM public.probe": "table public.probe",
    "TRUNCATE public.probe": "table public.probe",
    "ALTER TABLE public.planet ADD mass int": "table public.planet (AccessExclusiveLock)",
    "CREATE INDEX ON public.planet (gen)": "table public.planet (ShareLock)",
    "ALTER TABLE moon ADD elsewhere bigint REFERENCES public.planet (id)": "table public.planet",
    "CREATE TABLE comet () INHERITS (public.planet)": "table public.planet",
    "COMMENT ON TABLE public.planet IS 'x'": "table public.planet",
    "CREATE TABLE public.comet (id int)": "comet",
    "CREATE VIEW public.seen AS SELECT 1": "seen",
    "DROP TABLE public.ledger": "table ledger",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'": "function public.f()",
    "CREATE OR REPLACE FUNCTION public.there() RETURNS int LANGUAGE sql AS 'SELECT 2'": "there()",
    "DROP FUNCTION public.there()": "there()",
    "ALTER FUNCTION public.there() IMMUTABLE": "there()",
    "CREATE TYPE public.size AS ENUM ('small')": "type public.size",
    "ALTER TYPE public.colour ADD VALUE 'blue'": "type public.colour",
    "DROP TYPE public.colour": "colour",
    "ALTER DOMAIN public.above ADD CHECK (VALUE < 9)": "above",
    "CREATE SCHEMA another": "schema another",
    "DROP SCHEMA theirs": "schema theirs",
    "GRANT SELECT ON public.planet TO PUBLIC": "table public.planet",
    "GRANT SELECT (name) ON public.planet TO PUBLIC": "table public.planet",
    "GRANT USAGE ON SCHEMA public TO PUBLIC": "schema public",
    "REVOKE EXECUTE ON FUNCTION public.there() FROM PUBLIC": "there()",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC": "default priv",
    "CREATE EXTENSION pg_trgm": "extension pg_trgm",
    "COMMENT ON FUNCTION public.there() IS 'x'": "there()",
    "SELECT lo_create(4711)": "large object 4711",
    "SELECT public.change()": "table public.planet",
    "DO $$ BEGIN EXECUTE 'DELETE FROM public.probe'; END $$": "table public.probe",
    "SELECT nextval('public.planet_id_seq')": "sequence public.planet_id_seq",
    "CREATE PUBLICATION sky FOR ALL TABLES": "publication sky",
    "SET search_path TO public; DELETE FROM probe": "table public.probe",
    "SELECT set_config('search_path', 'public', true); DELETE FROM probe": "table public.probe",
}


def test_what_would_change_something_outside_is_named_and_rolled_back(walled: LiveDatabase) -> None:
    before = look(walled)

    def migrate(text: str) -> None:
        with walled.engine.at(walled.staging), transaction.atomic():
            run_all("UPDATE planet SET gen = 5")
            with transaction.atomic(), connections["default"].cursor() as cursor:
                cursor.execute(text)

    wrong = {}
    for text, name in OUTSIDE.items():
        try:
            migrate(text)
            wrong[text] = "committed"
        except LeftStaging as refusal:
            if name not in refusal.what:
                wrong[text] = refusal.what
    assert wrong == {}
    assert look(walled) == before
    with walled.engine.at(walled.staging), connections["default"].cursor() as cursor:
        cursor.execute("SELECT DISTINCT gen FROM planet")
        assert cursor.fetchall() == [(2,)]


WAYS: dict[str, Callable[[str], object]] = {
    "a cursor": lambda sql: run_all(sql),
    "the driver": lambda sql: connections["default"].connection.execute(sql),
    "the driver's cursor": lambda sql: connections["default"].connection.cursor().execute(sql),
    "the driver's transaction": lambda sql: _in_the_drivers_transaction(sql),
    "the driver's commit": lambda sql: _committed_by_the_driver(sql),
    "many at a time": lambda sql: _executed_for_many(sql),
}


def _in_the_drivers_transaction(sql: str) -> None:
    raw = connections["default"].connection
    with raw.transaction():
        raw.execute(sql)


def _committed_by_the_driver(sql: str) -> None:
    connections["default"].set_autocommit(False)
    try:
        run_all(sql)
        connections["default"].connection.commit()
    finally:
        connections["default"].rollback()
        connections["default"].set_autocommit(True)


def _executed_for_many(sql: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.executemany(f"{sql} WHERE id = %s", [[10], [20]])


@pytest.mark.parametrize("way", WAYS)
def test_there_is_no_way_around_it(walled: LiveDatabase, way: str) -> None:
    before = look(walled)

    def go() -> None:
        with walled.engine.at(walled.staging):
            connections["default"].ensure_connection()
            WAYS[way]("UPDATE public.planet SET gen = 7")

    with pytest.raises(LeftStaging, match=r"table public\.planet"):
        go()
    assert look(walled) == before


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE public.planet SET gen = 7; COMMIT",
        "COMMIT; UPDATE public.planet SET gen = 7; BEGIN",
        "ROLLBACK",
    ],
)
@pytest.mark.parametrize("atomic", [True, False])
def test_sql_that_ends_a_transaction_is_not_even_sent(
    walled: LiveDatabase, text: str, *, atomic: bool
) -> None:
    before = look(walled)

    def go() -> None:
        with walled.engine.at(walled.staging), connections["default"].cursor() as cursor:
            if atomic:
                with transaction.atomic():
                    cursor.execute(text)
            else:
                cursor.execute(text)

    with pytest.raises(LeftStaging, match=r"COMMIT|ROLLBACK"):
        go()
    assert look(walled) == before


def test_a_refusal_that_code_of_the_project_swallows_is_raised_all_the_same(
    walled: LiveDatabase,
) -> None:
    before = look(walled)

    def go() -> None:
        with walled.engine.at(walled.staging), suppress(BackupError):
            run_all("UPDATE public.planet SET gen = 7")

    with pytest.raises(LeftStaging):
        go()
    assert look(walled) == before


def test_what_stays_inside_is_no_alarm_whatever_others_do_to_live(walled: LiveDatabase) -> None:
    with walled.engine.at(walled.staging), walled.client() as other:
        run_all("""
            CREATE TABLE comet (id bigserial PRIMARY KEY, planet bigint REFERENCES planet (id));
            INSERT INTO comet (planet) VALUES (10); CREATE TYPE tail AS ENUM ('long');
            ALTER TABLE comet ADD tail tail DEFAULT 'long'; CREATE TEMP TABLE t (id int);
            CREATE INDEX CONCURRENTLY comets ON comet (planet); COMMENT ON TABLE comet IS 'x';
            GRANT SELECT ON comet TO PUBLIC; CREATE VIEW seen AS SELECT * FROM comet;
            DROP VIEW seen; ALTER TABLE comet DROP tail; DROP TYPE tail;
            ALTER TABLE comet ADD text text; UPDATE comet SET text = repeat('1', 9000);
            ALTER TABLE comet ALTER text TYPE jsonb USING text::jsonb;
            ALTER TABLE comet ALTER text TYPE int USING 1;
            CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION g()
        """)
        with transaction.atomic():
            run_all("SAVEPOINT a; INSERT INTO comet (planet) VALUES (20)")
            other.execute("UPDATE planet SET gen = 9")
            other.execute("CREATE FUNCTION h() RETURNS int LANGUAGE sql AS 'SELECT 1'")
            other.execute("DROP FUNCTION there()")
            run_all("DROP TABLE comet; SELECT count(*) FROM planet")
            with transaction.atomic():
                run_all("CREATE DOMAIN few AS int CHECK (VALUE < 9); DROP DOMAIN few")
    assert {row[-1] for row in walled.live()["planet"]} == {9}


def test_numbers_that_a_sequence_of_live_was_set_back_to_are_not_given_again(
    walled: LiveDatabase,
) -> None:
    """No rollback brings a sequence back."""
    with walled.client() as client:
        for _ in range(30):
            client.execute("SELECT nextval('planet_id_seq')")

    def go() -> None:
        with walled.engine.at(walled.staging):
            run_all("SELECT setval('public.planet_id_seq', 1)")

    with pytest.raises(LeftStaging, match=r"sequence public\.planet_id_seq"):
        go()
    with walled.client() as client:
        assert client.execute("SELECT nextval('planet_id_seq')").fetchone()[0] > 30


def test_rows_of_staging_are_streamed_inside_of_a_transaction_and_outside(
    walled: LiveDatabase,
) -> None:
    with walled.engine.at(walled.staging):
        for atomic in (True, False):
            if atomic:
                with transaction.atomic(), connections["default"].chunked_cursor() as cursor:
                    cursor.execute("SELECT DISTINCT gen FROM planet")
                    assert cursor.fetchall() == [(2,)]
            else:
                with connections["default"].chunked_cursor() as cursor:
                    cursor.execute("SELECT DISTINCT gen FROM planet")
                    assert cursor.fetchall() == [(2,)]


def test_what_needs_to_be_outside_of_a_transaction_is_refused_by_the_server(
    walled: LiveDatabase,
) -> None:
    with walled.engine.at(walled.staging), pytest.raises(DatabaseError, match="VACUUM"):
        run_all("VACUUM planet")


def test_a_promote_looks_first_whether_it_has_two_schemas_and_all_the_tables(
    walled: LiveDatabase,
) -> None:
    before = look(walled)
    for schema in ("public", "staging_gone"):
        with pytest.raises(DoesNotFit, match=r"itself|gone"):
            walled.promote(schema, walled.undo)
    with walled.client() as client:
        client.execute(f"DROP TABLE {walled.staging}.moon CASCADE")
    with pytest.raises(DoesNotFit, match="moon"):
        walled.promote(walled.staging, walled.undo)
    assert look(walled) == before


def test_a_promote_is_refused_where_the_path_is_now_this_and_now_that(walled: LiveDatabase) -> None:
    before = look(walled)
    run_all("SET search_path = theirs")
    with pytest.raises(Misconfigured, match="theirs"):
        walled.promote(walled.staging, walled.undo)
    run_all("CREATE TABLE theirs.django_migrations (); SET search_path = theirs, public")
    with pytest.raises(Misconfigured, match="theirs"):
        walled.promote(walled.staging, walled.undo)
    run_all("SET search_path = public")
    assert look(walled) == before
