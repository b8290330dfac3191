"""Snapshot, places, and what happens in them: one suite over every engine."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from backup_tasks.errors import DoesNotFit
from tests.integration.engines.ground import (
    RUN,
    SCHEMA,
    TABLES,
    Ground,
    generations,
    run_all,
)


def count(table: str) -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


def test_a_snapshot_sees_one_state_whatever_others_write(ground: Ground) -> None:
    """S5: counts and rows come from one moment."""
    with ground.engine.snapshot():
        before = count("planet")
        with ground.client() as other:
            other.execute("INSERT INTO planet (name, gen) VALUES ('new', 1)")
            other.execute("UPDATE moon SET gen = 7")
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT DISTINCT gen FROM moon")
            generations = list(cursor.fetchall())
        during = count("planet")
    assert (before, during, generations) == (2, 2, [(1,)])
    assert count("planet") == 3


def test_nothing_can_be_written_through_a_snapshot(ground: Ground) -> None:
    def write() -> None:
        with transaction.atomic():
            run_all("DELETE FROM moon")

    with ground.engine.snapshot(), pytest.raises(DatabaseError):
        write()
    assert len(ground.live()["moon"]) == 2


def test_a_snapshot_leaves_the_alias_as_it_was(ground: Ground) -> None:
    before = connections["default"]

    def fail_within() -> None:
        with ground.engine.snapshot():
            assert connections["default"] is not before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert connections["default"] is before
    run_all("DELETE FROM probe")


def test_a_place_is_made_anew_whatever_a_crash_left_there(ground: Ground) -> None:
    for _ in range(2):
        ground.engine.create(ground.staging)
        with ground.engine.at(ground.staging):
            assert connections["default"].introspection.table_names() == []
            run_all("CREATE TABLE planet (id integer); INSERT INTO planet VALUES (1)")


def test_a_place_is_dropped_with_all_that_is_in_it_and_twice_is_fine(ground: Ground) -> None:
    before = ground.live()
    ground.make_staging()
    assert ground.engine.schemas() == [ground.staging]
    ground.engine.drop(ground.staging)
    ground.engine.drop(ground.staging)
    assert ground.engine.schemas() == []
    assert ground.live() == before


def test_names_of_places_stay_apart_for_runs_purposes_and_lengths(ground: Ground) -> None:
    runs = [RUN, RUN[:-1] + "f", "a-very-long-kind-of-run-20261122T223355-abcde"]
    names = {
        ground.engine.schema_name(purpose, run) for run in runs for purpose in ("staging", "undo")
    }
    assert len(names) == 6
    for name in names:
        assert ground.engine.schema_name("staging", RUN) == ground.staging
        assert len(Path(name).name) < 128


def test_code_that_knows_nothing_of_staging_can_not_reach_live(ground: Ground) -> None:
    """Migrations, signal handlers and hooks use the alias, the default manager, a cursor."""
    before = ground.live()
    ground.make_staging()
    with ground.engine.at(ground.staging):
        run_all("DELETE FROM moon; DELETE FROM planet")
        MigrationRecorder.Migration.objects.all().delete()
        with transaction.atomic():
            MigrationRecorder(connections["default"]).record_applied("space", "0009_staged")
        assert MigrationRecorder.Migration.objects.count() == 1
    assert ground.live() == before


def test_a_name_that_staging_lacks_does_not_lead_to_live(ground: Ground) -> None:
    before = ground.live()
    ground.engine.create(ground.staging)
    for statement in ("DELETE FROM moon", "INSERT INTO planet (name) VALUES ('x')"):
        with ground.engine.at(ground.staging), pytest.raises(DatabaseError):
            run_all(statement)
    assert ground.live() == before


def test_loading_empties_the_tables_and_brings_everything_back(ground: Ground) -> None:
    """T18: what migrations left in staging is gone; indexes and constraints are there again."""
    ground.make_staging(generation=2)
    ground.load(generation=3, moons=1)
    with ground.engine.at(ground.staging):
        assert (count("planet"), count("moon")) == (2, 1)
        with pytest.raises(IntegrityError):
            run_all("INSERT INTO planet (name, gen) VALUES ('planet 10', 3)")
        with pytest.raises(IntegrityError):
            run_all("INSERT INTO moon (gen, planet_id) VALUES (-1, 10)")
        with pytest.raises(IntegrityError), transaction.atomic():
            run_all("INSERT INTO moon (gen, planet_id) VALUES (3, 4711)")


def test_what_failed_to_load_is_never_promoted_and_the_next_attempt_is(ground: Ground) -> None:
    before, structure = ground.live(), ground.structure()
    ground.make_staging(generation=2)

    def fail_within() -> None:
        with ground.engine.at(ground.staging), ground.engine.loading(TABLES, attempt=1):
            ground.engine.write("planet", ["id", "name", "gen"], [[1, "x", 9]])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    _assert_nothing_was_loaded(ground)
    assert ground.live() == before
    ground.load(generation=3, moons=2)
    ground.promote(ground.staging, ground.undo)
    assert generations(ground) == {3}
    assert ground.structure() == structure


def test_a_row_that_the_table_refuses_loads_nothing(ground: Ground) -> None:
    ground.make_staging(generation=2)

    def load(rows: Sequence[Sequence[object]]) -> None:
        with ground.engine.at(ground.staging), ground.engine.loading(TABLES, attempt=1):
            ground.engine.write("planet", ["id", "name", "gen"], rows)

    for rows in ([[1, "same", 9], [2, "same", 9]], [[1, "a", 9], [1, "b", 9]], [[1, None, 9]]):
        with pytest.raises(IntegrityError):
            load(rows)
        _assert_nothing_was_loaded(ground)


def _assert_nothing_was_loaded(ground: Ground) -> None:
    """Staging is what it was, or, where a load is many transactions, it can't be promoted."""
    if ground.project.engine == "postgres":
        with pytest.raises(DoesNotFit, match="did not come to its end"):
            ground.promote(ground.staging, ground.undo)
        return
    with ground.engine.at(ground.staging):
        assert (count("planet"), count("moon")) == (2, 4)
        with pytest.raises(IntegrityError):
            run_all("INSERT INTO planet (name, gen) VALUES ('planet 10', 3)")


def test_what_rows_refer_to_outside_is_carried_from_live(ground: Ground) -> None:
    ground.engine.create(ground.staging)
    with ground.engine.at(ground.staging):
        run_all(SCHEMA[ground.project.engine])
        with ground.engine.loading(["planet", "moon"], attempt=1):
            ground.engine.copy_from_live(["planet"])
            ground.engine.write("moon", ["id", "gen", "planet_id"], [[5, 2, 20]])
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT id, name, gen FROM planet ORDER BY id")
            assert list(cursor.fetchall()) == [(10, "planet 10", 1), (20, "planet 20", 1)]


def test_a_clone_has_the_structure_of_live_and_no_rows(ground: Ground) -> None:
    """T21: instead of minutes of migrations."""
    before = ground.live()
    unequal = ground.engine.clone(ground.staging, [*TABLES, "probe"])

    assert unequal == []
    with ground.engine.at(ground.staging):
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
    assert ground.live() == before


def test_places_are_ours_only(ground: Ground, tmp_path: Path) -> None:
    """P2: cleaning up by name deleted other databases' and other hosts' backups."""
    ground.engine.create(ground.staging)
    if ground.project.engine == "postgres":
        with ground.client() as client:
            client.execute("CREATE SCHEMA staging_restore_20200101t000000_zzzzz")
            client.execute("CREATE SCHEMA undo_reinit_20200101t000000_zzzzz")
            client.execute("CREATE SCHEMA theirs")
            client.execute("COMMENT ON SCHEMA theirs IS 'place of backup_tasks for schema another'")
    elif ground.project.engine == "mariadb":
        live = ground.project.database_name
        mark = "COMMENT 'place of backup_tasks for database another'"
        with ground.client() as client:
            client.execute(f"CREATE DATABASE {live}_staging_restore_20200101t000000_zzzzz")
            client.execute(f"CREATE DATABASE {live}_theirs {mark}")
    else:
        live = ground.project.database.name
        for name in (
            f"{live}.staging",
            f"{live}.staging_notes.txt",
            f"{live}-copy.staging_restore_20200101t000000_zzzzz",
            "other.sqlite3.staging_restore_20200101t000000_zzzzz",
            f"my-{live}.undo_restore_20200101t000000_zzzzz",
        ):
            (tmp_path / name).touch()

    assert ground.engine.schemas() == [ground.staging]
