"""The load on PostgreSQL, which is many transactions: what may happen between them."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from backup_tasks.engines.postgresql import bulk_load, table_definitions
from backup_tasks.engines.postgresql.bulk_load import BulkLoad
from backup_tasks.errors import DoesNotFit, LeaseLost
from tests.integration.engines.live_database import TABLES, LiveDatabase, run_all

ROWS: dict[str, tuple[list[str], list[list[Any]]]] = {
    "planet": (["id", "name", "gen"], [[10, "planet 10", 3], [20, "planet 20", 3]]),
    "moon": (["id", "gen", "planet_id"], [[100, 3, 10]]),
}

ADDED = """
ALTER TABLE planet ADD COLUMN rank integer, ADD COLUMN during int4range;
ALTER TABLE planet ADD CONSTRAINT rank_once UNIQUE (rank) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE planet ADD CONSTRAINT one_at_a_time EXCLUDE USING gist (during WITH &&);
CREATE INDEX planet_upper ON planet (upper(name) text_pattern_ops) WHERE gen > 0;
CREATE UNIQUE INDEX planet_named ON planet (name, rank) INCLUDE (gen);
ALTER TABLE moon ADD COLUMN sister_id bigint, ADD COLUMN home varchar(20);
ALTER TABLE moon ADD CONSTRAINT sister FOREIGN KEY (sister_id) REFERENCES moon (id) NOT VALID;
ALTER TABLE moon ADD CONSTRAINT home FOREIGN KEY (home) REFERENCES planet (name) ON DELETE CASCADE;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER moon_changed AFTER UPDATE ON moon FOR EACH ROW EXECUTE FUNCTION nothing()
"""


@pytest.fixture
def engine() -> str:
    return "postgres"


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Use several connections although there are few rows."""
    monkeypatch.setattr(bulk_load, "_BYTES_PER_CONNECTION", 1)
    settings.BACKUP = {**settings.BACKUP, "CONNECTIONS": 3}


@pytest.fixture
def cloned(database: LiveDatabase) -> LiveDatabase:
    """Live has every kind of object that a load defers; staging is its clone."""
    with database.client() as client:
        client.execute(ADDED)
    assert database.engine.clone(database.staging, [*TABLES, "probe"]) == []
    return database


def write(database: LiveDatabase) -> None:
    for table, (columns, rows) in ROWS.items():
        database.engine.write(table, columns, rows)


def is_loaded(database: LiveDatabase) -> bool:
    """Whether live holds the rows that `write` writes, and no others."""
    live = database.live()
    return all([list(row[:3]) for row in live[table]] == rows for table, (_, rows) in ROWS.items())


def unequal(database: LiveDatabase) -> list[str]:
    """How staging's structure differs from live's."""
    with transaction.atomic(), connections["default"].cursor() as cursor:
        return table_definitions.differences(cursor, "public", database.staging, [*TABLES, "probe"])


@pytest.mark.usefixtures("several")
def test_deferred_objects_are_built_again_as_they_were(cloned: LiveDatabase) -> None:
    with cloned.engine.at(cloned.staging), cloned.engine.loading(TABLES, attempt=1):
        write(cloned)

    assert unequal(cloned) == []


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("died", ["begun", "half", "written", "unchecked"])
def test_what_a_dead_attempt_deferred_is_built_again_by_the_next(
    cloned: LiveDatabase, died: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Foreign keys are gone for other connections too, or are back and unchecked."""
    load = BulkLoad("default", cloned.staging, 1)
    with cloned.engine.at(cloned.staging):
        load.begin(TABLES)
        if died != "begun":
            load.write("planet", *ROWS["planet"])
        if died in ("written", "unchecked"):
            load.write("moon", ["id", "gen", "planet_id"], [[100, 3, 10]])
        if died == "unchecked":
            with monkeypatch.context() as patched:
                patched.setattr(BulkLoad, "_execute", lambda *_, **__: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    load.end(TABLES, connections["default"].copy)
    assert unequal(cloned)
    with pytest.raises(DoesNotFit, match="did not come to its end"):
        cloned.promote(cloned.staging, cloned.undo)

    with cloned.engine.at(cloned.staging), cloned.engine.loading(TABLES, attempt=2):
        write(cloned)
    assert unequal(cloned) == []
    cloned.promote(cloned.staging, cloned.undo)
    assert is_loaded(cloned)


def test_an_attempt_that_lost_its_step_changes_nothing(cloned: LiveDatabase) -> None:
    """It was stopped for a while, and another attempt has begun since."""
    late, current = BulkLoad("default", cloned.staging, 1), BulkLoad("default", cloned.staging, 2)
    with cloned.engine.at(cloned.staging):
        late.begin(TABLES)
        late.write("planet", ["id", "name", "gen"], [[1, "late", 9]])
        current.begin(TABLES)
        for table, (columns, rows) in ROWS.items():
            with pytest.raises(LeaseLost):
                late.write(table, columns, rows)
            current.write(table, columns, rows)
        for _ in range(2):
            with pytest.raises(LeaseLost):
                late.end(TABLES, connections["default"].copy)
            with pytest.raises(LeaseLost):
                late.begin(TABLES)
            current.end(TABLES, connections["default"].copy)
    assert unequal(cloned) == []
    cloned.promote(cloned.staging, cloned.undo)
    assert is_loaded(cloned)


def test_a_new_attempt_waits_for_what_an_earlier_one_is_about_to_commit(
    cloned: LiveDatabase,
) -> None:
    late, current = BulkLoad("default", cloned.staging, 1), BulkLoad("default", cloned.staging, 2)
    writing, go_on = threading.Event(), threading.Event()
    raised: list[Exception] = []

    def rows() -> Iterator[list[object]]:
        yield [1, "late", 9]
        writing.set()
        assert go_on.wait(20)

    def be_late() -> None:
        with cloned.engine.at(cloned.staging):
            late.write("planet", ["id", "name", "gen"], rows())
            try:
                late.write("moon", *ROWS["moon"])
            except LeaseLost as error:
                raised.append(error)
        connections["default"].close()

    with cloned.engine.at(cloned.staging):
        late.begin(TABLES)
        thread = threading.Thread(target=be_late)
        thread.start()
        assert writing.wait(20)
        threading.Timer(0.3, go_on.set).start()
        current.begin(TABLES)  # waits
        assert go_on.is_set()
        thread.join(20)
        for table, (columns, found) in ROWS.items():
            current.write(table, columns, found)
        current.end(TABLES, connections["default"].copy)

    assert len(raised) == 1
    cloned.promote(cloned.staging, cloned.undo)
    assert is_loaded(cloned)


@pytest.mark.usefixtures("several")
def test_a_row_that_refers_to_nothing_is_told_whoever_finds_it(cloned: LiveDatabase) -> None:
    def load() -> None:
        with cloned.engine.at(cloned.staging), cloned.engine.loading(TABLES, attempt=1):
            cloned.engine.write("planet", *ROWS["planet"])
            cloned.engine.write("moon", ["id", "gen", "planet_id"], [[1, 3, 4711]])

    with pytest.raises(IntegrityError, match="4711"):
        load()
    with pytest.raises(DoesNotFit, match="did not come to its end"):
        cloned.promote(cloned.staging, cloned.undo)


@pytest.mark.usefixtures("several")
def test_foreign_keys_are_checked_over_several_connections(cloned: LiveDatabase) -> None:
    load = BulkLoad("default", cloned.staging, 1)
    at_work: list[str] = []
    all_at_work = threading.Barrier(3, timeout=20)

    def connect() -> BaseDatabaseWrapper:
        connection = there.copy()
        connection.execute_wrappers.append(meet)
        return connection

    def meet(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Each of the three keys is checked while the others are."""
        if "VALIDATE" in sql:
            at_work.append(sql)
            all_at_work.wait()
        return execute(sql, params, many, context)

    with cloned.engine.at(cloned.staging):
        there = connections["default"]
        load.begin(TABLES)
        for table, (columns, rows) in ROWS.items():
            load.write(table, columns, rows)
        with there.execute_wrapper(meet):
            load.end(TABLES, connect)

    assert len(at_work) == 3
    assert unequal(cloned) == []


@pytest.mark.usefixtures("several")
def test_foreign_keys_are_checked_over_one_connection_where_there_is_no_other(
    cloned: LiveDatabase,
) -> None:
    load = BulkLoad("default", cloned.staging, 1)

    there = connections["default"]

    def refused() -> BaseDatabaseWrapper:
        copy = there.copy()
        copy.settings_dict["PORT"] = "1"
        return copy

    with cloned.engine.at(cloned.staging):
        load.begin(TABLES)
        for table, (columns, rows) in ROWS.items():
            load.write(table, columns, rows)
        load.end(TABLES, refused)

    assert unequal(cloned) == []


def test_a_partitioned_table_is_loaded(database: LiveDatabase) -> None:
    """Its foreign keys can't be added unchecked, its rows can't be frozen."""
    with database.client() as client:
        client.execute(
            "CREATE TABLE ring (id bigint PRIMARY KEY, planet_id bigint REFERENCES planet (id))"
            " PARTITION BY RANGE (id);"
            "CREATE TABLE ring_low PARTITION OF ring FOR VALUES FROM (0) TO (100);"
            "CREATE TABLE ring_high PARTITION OF ring FOR VALUES FROM (100) TO (1000)"
        )
        before = client.execute(_KEYS).fetchall()
    with database.engine.loading([*TABLES, "ring"], attempt=1):
        write(database)
        database.engine.write("ring", ["id", "planet_id"], [[1, 10], [101, 20]])

    with database.client() as client:
        assert client.execute(_KEYS).fetchall() == before
        assert client.execute("SELECT count(*) FROM ring_high").fetchall() == [(1,)]


_KEYS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated"
    " FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2"
)


def test_what_refers_to_the_tables_from_outside_is_emptied(database: LiveDatabase) -> None:
    """It is not promoted, and its rows refer to nothing now."""
    assert database.engine.clone(database.staging, [*TABLES, "probe"]) == []
    with database.engine.at(database.staging):
        run_all(
            "INSERT INTO planet (id, name, gen) VALUES (1, 'x', 1);"
            "INSERT INTO moon (id, gen, planet_id) VALUES (1, 1, 1);"
            "INSERT INTO probe (moon_id) VALUES (1)"
        )
        with database.engine.loading(TABLES, attempt=1):
            write(database)
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM probe")
            assert cursor.fetchone() == (0,)
    assert unequal(database) == []
