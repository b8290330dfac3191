"""Migrations drawn at random run in staging: live is the same after each, and what would have
changed it is refused by the name of the migration (PostgreSQL)."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connections, migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from backup_tasks.errors import LeftStaging
from tests.integration.engines.live_database import LiveDatabase
from tests.integration.engines.walled import look

INSIDE = (
    "UPDATE planet SET gen = gen + 1",
    "INSERT INTO planet (name) VALUES ('n{n}')",
    "CREATE TABLE t{n} (id serial PRIMARY KEY, planet bigint REFERENCES planet (id))",
    "ALTER TABLE moon ADD c{n} int DEFAULT {n}",
    "CREATE INDEX CONCURRENTLY i{n} ON moon (gen)",
    "CREATE FUNCTION f{n}() RETURNS int LANGUAGE sql AS 'SELECT {n}'",
    "CREATE TYPE e{n} AS ENUM ('a')",
    "CREATE VIEW v{n} AS SELECT * FROM planet",
    "DO $$ BEGIN INSERT INTO probe (moon_id) SELECT max(id) FROM moon; END $$",
    "SELECT count(*) FROM planet; SELECT nextval('planet_id_seq')",
    "DROP VIEW IF EXISTS v{n}; SELECT there()",
    "CREATE TEMP TABLE IF NOT EXISTS scratch (id int)",
    "SELECT set_config('search_path', 'public', false)",
)
OUTSIDE = (
    "UPDATE public.planet SET gen = gen + 1",
    'DELETE FROM "public"."probe"',
    "SELECT public.change()",
    "DO $$ BEGIN EXECUTE 'UPDATE public.' || 'planet SET gen = 7'; END $$",
    "SET search_path = public; UPDATE planet SET gen = 6",
    "CREATE FUNCTION g{n}() RETURNS void LANGUAGE sql AS 'DELETE FROM public.moon'; SELECT g{n}()",
    "CREATE FUNCTION public.h{n}() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "UPDATE planet SET gen = 5; COMMIT; UPDATE public.planet SET gen = 5",
    "WITH gone AS (DELETE FROM public.probe RETURNING id) SELECT * FROM gone",
    "ALTER TABLE public.moon DROP COLUMN gen",
    "TRUNCATE public.planet CASCADE",
    "GRANT ALL ON public.planet TO PUBLIC",
    "SELECT count(*) FROM public.planet",
    "CREATE VIEW w{n} AS SELECT * FROM public.planet",
    "DROP FUNCTION public.there()",
    (
        "MERGE INTO public.planet p USING moon m ON false WHEN NOT MATCHED THEN"
        " INSERT (name) VALUES ('m' || m.id)"
    ),
)


def _by_python(sql: str) -> migrations.RunPython:
    def run(apps: Any, schema_editor: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(sql)

    return migrations.RunPython(run)


def _by_the_driver(sql: str) -> migrations.RunPython:
    def run(apps: Any, schema_editor: Any) -> None:
        schema_editor.connection.ensure_connection()
        schema_editor.connection.connection.execute(sql)

    return migrations.RunPython(run)


def _by_another_name(sql: str) -> migrations.RunPython:
    def run(apps: Any, schema_editor: Any) -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute(sql)

    return migrations.RunPython(run)


WAYS: tuple[Callable[[str], Any], ...] = (
    migrations.RunSQL,
    _by_python,
    _by_the_driver,
    _by_another_name,
)


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have no schemas."""
    name: str = request.param
    return name


def test_no_migration_changes_live(walled: LiveDatabase) -> None:
    chance = random.Random(11)
    before = look(walled)
    outcomes = Counter[str]()
    for number in range(200):
        bad = chance.random() < 0.6
        texts = [chance.choice(INSIDE) for _ in range(chance.randrange(3))]
        if bad:
            texts.insert(chance.randrange(len(texts) + 1), chance.choice(OUTSIDE))
        drawn = [text.format(n=10 * number + at) for at, text in enumerate(texts)]
        migration = migrations.Migration(f"{number:04}_drawn", "space")
        vars(migration)["atomic"] = chance.random() < 0.7
        vars(migration)["operations"] = [chance.choice(WAYS)(text) for text in drawn]

        outcome = _applied(walled, migration)

        outcomes[type(outcome).__name__] += 1
        # PostgreSQL itself refuses to alter a table of which deferred keys are still to be checked.
        assert isinstance(outcome, DatabaseError) or (outcome is not None) == bad, (drawn, outcome)
        if isinstance(outcome, LeftStaging):
            assert outcome.obj == f"migration space.{number:04}_drawn"
        assert walled.live() == before[0], drawn
    assert look(walled) == before
    assert outcomes["LeftStaging"] > 20
    assert outcomes["NoneType"] > 10


def _applied(
    walled: LiveDatabase, migration: migrations.Migration
) -> LeftStaging | DatabaseError | None:
    try:
        with walled.engine.at(walled.staging):
            executor = MigrationExecutor(connections["default"])
            executor.apply_migration(ProjectState(), migration)
    except (LeftStaging, DatabaseError) as refusal:
        return refusal
    return None
