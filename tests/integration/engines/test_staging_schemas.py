"""Snapshots and staging schemas: one conformance suite over every engine."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from backup_tasks.errors import DoesNotFit, LeftStaging
from tests.integration.engines.live_database import (
    RUN,
    SCHEMA,
    TABLES,
    LiveDatabase,
    generations,
    run_all,
)


def count(table: str) -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


def test_a_snapshot_sees_one_state_whatever_others_write(database: LiveDatabase) -> None:
    """S5: counts and rows come from one moment."""
    with database.engine.snapshot():
        before = count("planet")
        with database.client() as other:
            other.execute("INSERT INTO planet (name, gen) VALUES ('new', 1)")
            other.execute("UPDATE moon SET gen = 7")
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT DISTINCT gen FROM moon")
            generations = list(cursor.fetchall())
        during = count("planet")
    assert (before, during, generations) == (2, 2, [(1,)])
    assert count("planet") == 3


def test_nothing_can_be_written_through_a_snapshot(database: LiveDatabase) -> None:
    def write() -> None:
        with transaction.atomic():
            run_all("DELETE FROM moon")

    with database.engine.snapshot(), pytest.raises(DatabaseError):
        write()
    assert len(database.live()["moon"]) == 2


def test_a_snapshot_leaves_the_alias_as_it_was(database: LiveDatabase) -> None:
    before = connections["default"]

    def fail_within() -> None:
        with database.engine.snapshot():
            assert connections["default"] is not before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert connections["default"] is before
    run_all("DELETE FROM probe")


def test_a_schema_is_made_anew_whatever_a_crash_left_there(database: LiveDatabase) -> None:
    for _ in range(2):
        database.engine.create(database.staging)
        with database.engine.at(database.staging):
            found = connections["default"].introspection.table_names()
            assert set(found) <= {"backup_tasks_structure"}, "what it says of itself"
            run_all("CREATE TABLE planet (id integer); INSERT INTO planet VALUES (1)")


def test_a_schema_is_dropped_with_all_that_is_in_it_and_twice_is_fine(
    database: LiveDatabase,
) -> None:
    before = database.live()
    database.make_staging()
    assert database.engine.schemas() == [database.staging]
    database.engine.drop(database.staging)
    database.engine.drop(database.staging)
    assert database.engine.schemas() == []
    assert database.live() == before


def test_names_of_schemas_stay_apart_for_runs_purposes_and_lengths(database: LiveDatabase) -> None:
    runs = [RUN, RUN[:-1] + "f", "a-very-long-kind-of-run-20261122T223355-abcde"]
    names = {
        database.engine.schema_name(purpose, run) for run in runs for purpose in ("staging", "undo")
    }
    assert len(names) == 6
    for name in names:
        assert database.engine.schema_name("staging", RUN) == database.staging
        assert len(Path(name).name) < 128


def test_code_that_knows_nothing_of_staging_can_not_reach_live(database: LiveDatabase) -> None:
    """Migrations, signal handlers and hooks use the alias, the default manager, a cursor."""
    before = database.live()
    database.make_staging()
    with database.engine.at(database.staging):
        run_all("DELETE FROM moon; DELETE FROM planet")
        MigrationRecorder.Migration.objects.all().delete()
        with transaction.atomic():
            MigrationRecorder(connections["default"]).record_applied("space", "0009_staged")
        assert MigrationRecorder.Migration.objects.count() == 1
    assert database.live() == before


def test_a_name_that_staging_lacks_does_not_lead_to_live(database: LiveDatabase) -> None:
    before = database.live()
    database.engine.create(database.staging)
    for statement in ("DELETE FROM moon", "INSERT INTO planet (name) VALUES ('x')"):
        with pytest.raises((DatabaseError, LeftStaging)), database.engine.at(database.staging):
            run_all(statement)
    assert database.live() == before


def test_loading_empties_the_tables_and_brings_everything_back(database: LiveDatabase) -> None:
    """T18: what migrations left in staging is gone; indexes and constraints are there again."""
    database.make_staging(generation=2)
    database.load(generation=3, moons=1)
    with database.engine.at(database.staging):
        assert (count("planet"), count("moon")) == (2, 1)
        with pytest.raises(IntegrityError):
            run_all("INSERT INTO planet (name, gen) VALUES ('planet 10', 3)")
        with pytest.raises(IntegrityError):
            run_all("INSERT INTO moon (gen, planet_id) VALUES (-1, 10)")
        with pytest.raises(IntegrityError), transaction.atomic():
            run_all("INSERT INTO moon (gen, planet_id) VALUES (3, 4711)")


def test_what_failed_to_load_is_never_promoted_and_the_next_attempt_is(
    database: LiveDatabase,
) -> None:
    before, structure = database.live(), database.structure()
    database.make_staging(generation=2)

    def fail_within() -> None:
        with database.engine.at(database.staging), database.engine.loading(TABLES, attempt=1):
            database.engine.write("planet", ["id", "name", "gen"], [[1, "x", 9]])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    _assert_nothing_was_loaded(database)
    assert database.live() == before
    database.load(generation=3, moons=2)
    database.promote(database.staging, database.undo)
    assert generations(database) == {3}
    assert database.structure() == structure


def test_a_row_that_the_table_refuses_loads_nothing(database: LiveDatabase) -> None:
    database.make_staging(generation=2)

    def load(rows: Sequence[Sequence[object]]) -> None:
        with database.engine.at(database.staging), database.engine.loading(TABLES, attempt=1):
            database.engine.write("planet", ["id", "name", "gen"], rows)

    for rows in ([[1, "same", 9], [2, "same", 9]], [[1, "a", 9], [1, "b", 9]], [[1, None, 9]]):
        with pytest.raises(IntegrityError):
            load(rows)
        _assert_nothing_was_loaded(database)


def _assert_nothing_was_loaded(database: LiveDatabase) -> None:
    """Staging is unchanged, or, where a load is many transactions, can't be promoted."""
    if database.project.engine == "postgres":
        with pytest.raises(DoesNotFit, match="did not come to its end"):
            database.promote(database.staging, database.undo)
        return
    with database.engine.at(database.staging):
        assert (count("planet"), count("moon")) == (2, 4)
        with pytest.raises(IntegrityError):
            run_all("INSERT INTO planet (name, gen) VALUES ('planet 10', 3)")


def test_what_rows_refer_to_outside_is_carried_from_live(database: LiveDatabase) -> None:
    database.engine.create(database.staging)
    with database.engine.at(database.staging):
        run_all(SCHEMA[database.project.engine])
        with database.engine.loading(["planet", "moon"], attempt=1):
            database.engine.copy_from_live(["planet"])
            database.engine.write("moon", ["id", "gen", "planet_id"], [[5, 2, 20]])
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT id, name, gen FROM planet ORDER BY id")
            assert list(cursor.fetchall()) == [(10, "planet 10", 1), (20, "planet 20", 1)]


def test_a_clone_has_the_structure_of_live_and_no_rows(database: LiveDatabase) -> None:
    """T21: instead of minutes of migrations."""
    before = database.live()
    unequal = database.engine.clone(database.staging, [*TABLES, "probe"])

    assert unequal == []
    with database.engine.at(database.staging):
        assert (count("planet"), count("moon"), count("probe")) == (0, 0, 0)
        assert sorted(MigrationRecorder(connections["default"]).applied_migrations()) == [
            ("other", "0001_initial"),
            ("space", "0001_live"),
        ]
        run_all("INSERT INTO planet (name) VALUES ('new')")
        with pytest.raises(IntegrityError):
            run_all("INSERT INTO planet (name) VALUES ('new')")
        with pytest.raises(IntegrityError), transaction.atomic():
            run_all("INSERT INTO moon (gen, planet_id) VALUES (3, 4711)")
    assert database.live() == before


def test_only_our_own_schemas_are_listed(database: LiveDatabase, tmp_path: Path) -> None:
    """P2: cleaning up by name deleted other databases' and other hosts' backups."""
    database.engine.create(database.staging)
    if database.project.engine == "postgres":
        with database.client() as client:
            client.execute("CREATE SCHEMA staging_restore_20200101t000000_zzzzz")
            client.execute("CREATE SCHEMA undo_reinit_20200101t000000_zzzzz")
            client.execute("CREATE SCHEMA theirs")
            client.execute("COMMENT ON SCHEMA theirs IS 'place of backup_tasks for schema another'")
    elif database.project.engine == "mariadb":
        live = database.project.database_name
        mark = "COMMENT 'place of backup_tasks for database another'"
        with database.client() as client:
            client.execute(f"CREATE DATABASE {live}_staging_restore_20200101t000000_zzzzz")
            client.execute(f"CREATE DATABASE {live}_theirs {mark}")
    else:
        live = database.project.database.name
        for name in (
            f"{live}.staging",
            f"{live}.staging_notes.txt",
            f"{live}-copy.staging_restore_20200101t000000_zzzzz",
            "other.sqlite3.staging_restore_20200101t000000_zzzzz",
            f"my-{live}.undo_restore_20200101t000000_zzzzz",
        ):
            (tmp_path / name).touch()

    assert database.engine.schemas() == [database.staging]
