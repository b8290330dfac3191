"""What MariaDB alone refuses or needs."""

import pymysql.cursors
import pytest
from django.db import connections

from backup_tasks.engines.mariadb import engine as mariadb
from backup_tasks.engines.mariadb.foreign_keys import ForeignKey
from backup_tasks.errors import DoesNotFit, HandoverChanged, Misconfigured
from edms.local.mariadb import connected
from tests.integration.engines.live_database import LiveDatabase, run_all

pytestmark = pytest.mark.parametrize("engine", ["mariadb"])


def test_a_missing_right_is_said_with_the_grant_to_run(database: LiveDatabase) -> None:
    name = database.project.database_name
    user = f"u_{name}"[:30]
    with connected(database.project.database_url) as root:
        root.execute(f"CREATE USER '{user}'@'%'")
        try:
            root.execute(f"GRANT ALL PRIVILEGES ON `{name}`.* TO '{user}'@'%'")
            connections["default"].close()
            connections["default"].settings_dict["USER"] = user
            with pytest.raises(Misconfigured) as refused:
                database.engine.create(database.staging)
            root.execute(refused.value.hint)
            connections["default"].close()
            database.make_staging(generation=2)
            database.promote(database.staging, database.undo)
            database.engine.drop(database.staging)
            assert database.engine.schemas() == [database.undo]
        finally:
            root.execute(f"DROP USER '{user}'@'%'")


def test_tables_with_triggers_are_refused_by_name(database: LiveDatabase) -> None:
    database.make_staging(generation=2)
    run_all("CREATE TRIGGER watching BEFORE INSERT ON moon FOR EACH ROW SET NEW.gen = 5")
    before = database.live()

    with pytest.raises(DoesNotFit, match=r"watching \(of moon\)"):
        database.promote(database.staging, database.undo)

    assert database.live() == before


def test_tables_without_transactions_are_refused_by_name(database: LiveDatabase) -> None:
    database.make_staging(generation=2)
    with database.engine.at(database.staging):
        run_all("DROP TABLE probe; ALTER TABLE moon DROP FOREIGN KEY moon_of_planet")
        run_all("ALTER TABLE moon ENGINE = Aria")

    with pytest.raises(DoesNotFit, match=r"moon \(Aria\)"):
        database.promote(database.staging, database.undo)
    assert database.engine.schemas() == [database.staging]


def test_a_row_that_is_written_at_the_last_moment_and_would_be_lost_stops_the_promote(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are renamed back, foreign keys from outside too."""
    database.make_staging(generation=2, moons=1)
    structure, looked = database.structure(), ForeignKey.dangling_rows

    def look_then_write(key: ForeignKey, cursor: object, new: str, parent: str) -> int:
        found = looked(key, cursor, new, parent)
        monkeypatch.setattr(ForeignKey, "dangling_rows", looked)
        with database.client() as client:
            client.execute("INSERT INTO probe (moon_id) VALUES (101)")
        return found

    monkeypatch.setattr(ForeignKey, "dangling_rows", look_then_write)
    with pytest.raises(DoesNotFit, match="1 of probe to moon"):
        database.promote(database.staging, database.undo)

    live = database.live()
    assert [row[1] for row in live["probe"]] == [100, 101]
    assert {row[-1] for row in live["planet"]} == {1}
    assert live["django_migrations"][1] == ("space", "0001_live")
    assert database.structure() == structure
    assert database.engine.schemas() == [database.staging]


def test_a_kept_table_holds_nothing_in_live_back(database: LiveDatabase) -> None:
    """A table in the undo database that referred to live would keep clients from deleting rows."""
    outward = (
        "CREATE TABLE owner (id bigint PRIMARY KEY); INSERT INTO owner VALUES (1);"
        "ALTER TABLE moon ADD COLUMN owner_id bigint DEFAULT 1;"
        "ALTER TABLE moon ADD CONSTRAINT moon_of_owner FOREIGN KEY (owner_id) REFERENCES owner (id)"
    )
    run_all(outward)
    database.make_staging(generation=2)
    with database.engine.at(database.staging):
        run_all(outward)
    structure = database.structure()

    database.promote(database.staging, database.undo)
    assert database.structure() == structure
    database.engine.drop(database.staging)
    with database.client() as client:
        client.execute("UPDATE moon SET owner_id = NULL")
        client.execute("DELETE FROM owner")
        client.execute("INSERT INTO owner VALUES (1)")
    database.promote(
        database.undo, database.engine.schema_name("undo", "undo-20261122T223400-fghij")
    )

    assert database.structure() == structure


def test_a_swap_that_happened_is_not_taken_for_that_of_a_new_staging(
    database: LiveDatabase,
) -> None:
    database.make_staging(generation=2)
    database.promote(database.staging, database.undo)
    database.make_staging(generation=3)
    before = database.live()

    with pytest.raises(HandoverChanged):
        database.promote(database.staging, database.undo)
    assert database.live() == before
    assert database.engine.in_doubt(database.undo)


def test_a_primary_key_of_zero_stays_what_it_is(database: LiveDatabase) -> None:
    database.make_staging(generation=2)
    with database.engine.at(database.staging):
        with database.engine.loading(["moon"], attempt=1):
            database.engine.write("moon", ["id", "gen", "planet_id"], [[0, 2, 10], [7, 2, 10]])
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT id FROM moon ORDER BY id")
            assert list(cursor.fetchall()) == [(0,), (7,)]


def test_long_results_are_not_held_in_memory(database: LiveDatabase) -> None:
    """Invariant 9: Django's own cursor has read all rows before it gives the first."""
    with database.engine.snapshot(), connections["default"].chunked_cursor() as cursor:
        cursor.execute("SELECT seq FROM seq_1_to_5000")
        assert cursor.fetchmany(2)[1][0] == 2
        assert isinstance(cursor.cursor.cursor, pymysql.cursors.SSCursor)
        assert len(cursor.fetchall()) == 4998


def test_an_older_server_is_refused(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb, "_OLDEST", (99, 1))
    with pytest.raises(Misconfigured, match="MariaDB"):
        mariadb.MariaDB("default")
