"""SQLite: what hangs on the tables is there after a promote, an undo and a merge, and works."""

from typing import Any

import pytest
from django.db import connections

from backup_tasks.errors import DoesNotFit
from tests.integration.engines.live_database import TABLES, LiveDatabase, run_all

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

FULL_TEXT = """
CREATE VIRTUAL TABLE by_name USING fts5(name, content='planet', content_rowid='id');
CREATE TRIGGER name_in AFTER INSERT ON planet BEGIN
    INSERT INTO by_name(rowid, name) VALUES (new.id, new.name)|END;
CREATE TRIGGER name_out AFTER DELETE ON planet BEGIN
    INSERT INTO by_name(by_name, rowid, name) VALUES ('delete', old.id, old.name)|END;
CREATE TRIGGER name_new AFTER UPDATE ON planet BEGIN
    INSERT INTO by_name(by_name, rowid, name) VALUES ('delete', old.id, old.name)|
    INSERT INTO by_name(rowid, name) VALUES (new.id, new.name)|END;
CREATE VIRTUAL TABLE own_text USING fts5(name);
CREATE VIRTUAL TABLE no_text USING fts5(name, content='');
CREATE VIRTUAL TABLE by_size USING rtree(id, least, most);
CREATE VIRTUAL TABLE old_text USING fts4(name);
CREATE TRIGGER text_in AFTER INSERT ON planet BEGIN
    INSERT INTO own_text(rowid, name) VALUES (new.id, new.name)|
    INSERT INTO no_text(rowid, name) VALUES (new.id, new.name)|
    INSERT INTO old_text(docid, name) VALUES (new.id, new.name)|
    INSERT INTO by_size VALUES (new.id, new.gen, new.gen + 1)|END;
CREATE TRIGGER text_out AFTER DELETE ON planet BEGIN
    DELETE FROM own_text WHERE rowid = old.id|
    DELETE FROM old_text WHERE docid = old.id|
    INSERT INTO no_text(no_text, rowid, name) VALUES ('delete', old.id, old.name)|
    DELETE FROM by_size WHERE id = old.id|END;
CREATE TRIGGER text_new AFTER UPDATE ON planet BEGIN
    UPDATE own_text SET name = new.name WHERE rowid = old.id|
    UPDATE old_text SET name = new.name WHERE docid = old.id|
    INSERT INTO no_text(no_text, rowid, name) VALUES ('delete', old.id, old.name)|
    INSERT INTO no_text(rowid, name) VALUES (new.id, new.name)|
    UPDATE by_size SET least = new.gen, most = new.gen + 1 WHERE id = old.id|END;
CREATE VIRTUAL TABLE words USING fts5vocab(by_name, row);
INSERT INTO by_name(by_name) VALUES ('rebuild');
INSERT INTO own_text(rowid, name) SELECT id, name FROM planet;
INSERT INTO no_text(rowid, name) SELECT id, name FROM planet;
INSERT INTO old_text(docid, name) SELECT id, name FROM planet;
INSERT INTO by_size SELECT id, gen, gen + 1 FROM planet
"""
OTHERS = """
CREATE TABLE log (entry text) STRICT;
CREATE TRIGGER logged AFTER INSERT ON moon BEGIN INSERT INTO log VALUES ('moon')|END;
CREATE VIEW bright AS SELECT gen FROM moon;
CREATE TRIGGER through_view INSTEAD OF INSERT ON bright BEGIN
    INSERT INTO log VALUES (new.gen)|END;
CREATE INDEX new_moons ON moon (planet_id) WHERE gen > 0;
CREATE INDEX moons_by_sum ON moon (gen + planet_id);
CREATE TABLE pair (a text, b text, PRIMARY KEY (a, b)) WITHOUT ROWID;
ANALYZE
"""


def execute(script: str) -> None:
    """Run a script; `|` ends the statements within a trigger."""
    with connections["default"].cursor() as cursor:
        for statement in script.split(";"):
            cursor.execute(statement.replace("|", ";"))


def schema(database: LiveDatabase) -> list[Any]:
    with database.client() as client:
        listed = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2"
        statistics = "SELECT * FROM sqlite_stat1 ORDER BY 1, 2, 3"
        return [client.execute(listed).fetchall(), client.execute(statistics).fetchall()]


def found(database: LiveDatabase, word: str) -> list[list[int]]:
    """The rows that each index finds."""
    with database.client() as client:
        answers = [
            client.execute(f"SELECT rowid FROM {name} WHERE {name} MATCH '{word}' ORDER BY 1")
            for name in ("by_name", "own_text", "no_text", "old_text")
        ]
        return [[row[0] for row in answer] for answer in answers]


def assert_sound(database: LiveDatabase) -> None:
    """What SQLite and the modules can prove, and an update as the application does it."""
    with database.client() as client:
        assert client.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for name in ("by_name", "own_text", "old_text"):
            client.execute(f"INSERT INTO {name}({name}) VALUES ('integrity-check')")
        assert client.execute("SELECT rtreecheck('main', 'by_size')").fetchone() == ("ok",)
        same = "SELECT id, gen FROM planet EXCEPT SELECT id, CAST(least AS integer) FROM by_size"
        assert client.execute(same).fetchall() == []
        client.execute("BEGIN")
        client.execute("UPDATE planet SET name = name || ' again'")
        client.execute("DELETE FROM moon")
        client.execute("DELETE FROM probe")
        client.execute("DELETE FROM planet")
        client.execute("ROLLBACK")


def staged(database: LiveDatabase, *names: str) -> None:
    """A clone of live in which planets have these names."""
    assert database.engine.clone(database.staging, [*TABLES, "probe"]) == []
    with database.engine.at(database.staging):
        with database.engine.loading(TABLES, attempt=1):
            rows = [[10 * (1 + place), name, 2] for place, name in enumerate(names)]
            database.engine.write("planet", ["id", "name", "gen"], rows)
            database.engine.write("moon", ["id", "gen", "planet_id"], [[100, 2, 10], [101, 2, 10]])
        run_all("UPDATE planet SET gen = 3")  # as a migration in staging does


@pytest.fixture
def full(database: LiveDatabase) -> LiveDatabase:
    """Live with every kind of thing."""
    execute(FULL_TEXT)
    execute(OTHERS)
    return database


def test_the_schema_is_the_same_and_searches_find_the_new_rows(full: LiveDatabase) -> None:
    """T29: an index that is told nothing finds rows that are gone, and breaks at an update."""
    before = schema(full)
    staged(full, "mars", "venus")

    full.promote(full.staging, full.undo)

    assert schema(full) == before
    assert found(full, "venus") == [[20]] * 4
    assert found(full, "planet") == [[]] * 4
    assert_sound(full)
    with full.client() as client:
        assert client.execute("SELECT count(*) FROM log").fetchone() == (0,)
        assert client.execute("SELECT term FROM words").fetchall() == [("mars",), ("venus",)]

    full.promote(full.undo, full.engine.schema_name("undo", "undo-20261122T223400-fghij"))

    assert schema(full) == before
    assert found(full, "venus") == [[]] * 4
    assert found(full, "planet") == [[10, 20]] * 4
    assert_sound(full)


def test_they_come_along_where_the_migrations_are_others(full: LiveDatabase) -> None:
    before = schema(full)
    staged(full, "mars", "venus")
    with full.engine.at(full.staging):
        execute("UPDATE django_migrations SET name = '0002' WHERE app = 'space'")
        execute("DROP VIEW bright; CREATE VIEW bright AS SELECT id, gen FROM moon")
        execute("CREATE VIRTUAL TABLE fresh USING fts5(note)")
        execute("INSERT INTO fresh(rowid, note) VALUES (7, 'from a migration')")
        execute("CREATE TABLE plain (note text); INSERT INTO plain VALUES ('x')")

    full.promote(full.staging, full.undo)

    assert found(full, "venus") == [[20]] * 4
    assert_sound(full)
    with full.client() as client:
        assert client.execute("SELECT id, gen FROM bright").fetchall() == [(100, 2), (101, 2)]
        assert client.execute("SELECT rowid FROM fresh('migration')").fetchall() == [(7,)]
        assert client.execute("SELECT * FROM plain").fetchall() == [("x",)]

    full.promote(full.undo, full.engine.schema_name("undo", "undo-20261122T223400-fghij"))

    names = {row[1] for row in before[0]}
    assert [row for row in schema(full)[0] if row[1] in names] == before[0]
    assert found(full, "planet") == [[10, 20]] * 4
    assert_sound(full)


def test_a_merge_leaves_them_right(full: LiveDatabase) -> None:
    before = schema(full)
    staged(full, "mars", "venus")

    with (
        full.engine.merge_transaction(full.staging, writing=["planet"]) as source,
        connections["default"].cursor() as cursor,
    ):
        cursor.execute(
            f"UPDATE planet SET name = (SELECT name FROM {source}planet s WHERE s.id = planet.id)"
        )

    assert schema(full) == before
    with full.client() as client:
        assert client.execute("SELECT rowid FROM by_name('venus')").fetchall() == [(20,)]
        client.execute("INSERT INTO by_name(by_name, rank) VALUES ('integrity-check', 1)")


def test_an_index_that_was_broken_before_is_told_and_live_stays(database: LiveDatabase) -> None:
    execute(
        "CREATE VIRTUAL TABLE t USING fts5(name, content='');"
        "CREATE TRIGGER t_in AFTER INSERT ON planet BEGIN"
        " INSERT INTO t(rowid, name) VALUES (new.id, new.name)|END;"
        "CREATE TRIGGER t_out AFTER DELETE ON planet BEGIN"
        " INSERT INTO t(t, rowid, name) VALUES ('delete', old.id, old.name)|END;"
        "INSERT INTO t(rowid, name) VALUES (10, 'unlike what is in the table')"
    )
    before = database.live()
    staged(database, "mars", "venus")
    with pytest.raises(DoesNotFit, match="the triggers of table planet can't delete its rows"):
        database.promote(database.staging, database.undo)
    assert database.live() == before


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            (
                "CREATE VIRTUAL TABLE t USING fts5(name);"
                "CREATE TRIGGER t_in AFTER INSERT ON planet BEGIN"
                " INSERT INTO t(rowid, name) VALUES (new.id, new.name)|END"
            ),
            "virtual table t is filled by triggers of table planet, but not at DELETE",
        ),
        (
            (
                "CREATE TABLE log (entry); CREATE VIRTUAL TABLE t USING fts5(name);"
                "CREATE TRIGGER t_in AFTER INSERT ON planet BEGIN INSERT INTO log VALUES (1)|"
                " INSERT INTO t(rowid, name) VALUES (new.id, new.name)|END"
            ),
            "trigger t_in of table planet writes into t and into log",
        ),
        (
            (
                "CREATE VIRTUAL TABLE t USING fts5(name);"
                "CREATE TRIGGER t_in AFTER INSERT ON planet BEGIN INSERT INTO t(rowid, name)"
                " SELECT new.id, max(entry) FROM ledger|END"
            ),
            "trigger t_in of table planet, which fills t, reads ledger",
        ),
        (
            (
                "CREATE VIRTUAL TABLE t USING fts5(name);"
                "CREATE TRIGGER t_in AFTER INSERT ON planet BEGIN INSERT INTO gone VALUES (1)|END"
            ),
            "no such table: main.gone",
        ),
    ],
)
def test_what_can_not_be_carried_is_refused_by_name_before_anything_is_built(
    database: LiveDatabase, made: str, told: str
) -> None:
    execute(made)
    with pytest.raises(DoesNotFit) as refused:
        database.engine.rehearse_promote(TABLES)
    assert told in refused.value.what
    assert "Drop the virtual table" in refused.value.hint


def test_a_kind_of_virtual_table_that_nobody_knows_is_refused(database: LiveDatabase) -> None:
    with database.client() as client:
        client.execute("PRAGMA writable_schema = ON")
        client.execute(
            "INSERT INTO sqlite_master VALUES"
            " ('table', 'strange', 'strange', 0, 'CREATE VIRTUAL TABLE strange USING star(x)')"
        )
    with pytest.raises(DoesNotFit, match="virtual table strange is of an unknown kind, star"):
        database.engine.rehearse_promote(TABLES)


def test_a_column_that_only_live_has_is_refused_and_not_lost(database: LiveDatabase) -> None:
    database.make_staging()
    with database.engine.at(database.staging):
        run_all("UPDATE django_migrations SET name = '0001_live' WHERE app = 'space'")
    run_all("ALTER TABLE moon ADD COLUMN colour text")
    before = database.live()

    for attempt in (
        database.rehearse,
        lambda: database.promote(database.staging, database.undo),
    ):
        with pytest.raises(DoesNotFit, match="column colour of moon is in live only"):
            attempt()
    assert database.live() == before


@pytest.mark.parametrize(
    ("made", "columns", "values"),
    [
        ("rtree(id, least, most)", ["id", "least", "most"], (7, 1.5, 2.5)),
        ("fts5(least, most)", ["rowid", "least", "most"], (7, "a short", "text")),
        ("fts4(least, most)", ["rowid", "least", "most"], (7, "a short", "text")),
    ],
)
@pytest.mark.parametrize("migrations", ["equal", "other"])
def test_a_model_whose_table_is_virtual_keeps_its_rows_though_triggers_fill_it(
    database: LiveDatabase, made: str, columns: list[str], values: tuple[Any, ...], migrations: str
) -> None:
    """A CMS has its search index as a model, and triggers of another model's table fill it."""
    names = ", ".join(columns)
    execute(
        f"CREATE VIRTUAL TABLE orbit USING {made};"
        f"CREATE TRIGGER orbit_in AFTER INSERT ON planet BEGIN"
        f" INSERT INTO orbit({names}) VALUES (new.id, 1, 1)|END;"
        "CREATE TRIGGER orbit_out AFTER DELETE ON planet BEGIN"
        f" DELETE FROM orbit WHERE {columns[0]} = old.id|END;"
        f"INSERT INTO orbit({names}) VALUES (90, 0, 0)"
    )
    tables = ["planet", "moon", "orbit"]
    assert database.engine.clone(database.staging, tables) == []
    with database.engine.at(database.staging):
        with database.engine.loading(tables, attempt=1):
            database.engine.write("orbit", columns, [values])
            database.engine.write("planet", ["id", "name", "gen"], [[10, "mars", 2]])
            moons = [[100, 2, 10], [101, 2, 10]]
            database.engine.write("moon", ["id", "gen", "planet_id"], moons)
        if migrations == "other":
            run_all("UPDATE django_migrations SET name = '0001_other' WHERE app = 'space'")
    with database.client() as client:
        before = client.execute(f"SELECT {names} FROM orbit").fetchall()

    database.rehearse(tables)
    for source, kept, expected in (
        (database.staging, database.undo, [values]),
        (database.undo, database.undo + "_again", before),
    ):
        database.engine.promote(
            source, tables=tables, apps=["space"], keep=kept, record=lambda: None
        )
        with database.client() as client:
            assert client.execute(f"SELECT {names} FROM orbit").fetchall() == expected
            client.execute("BEGIN")
            client.execute("INSERT INTO planet (id, name, gen) VALUES (70, 'pluto', 1)")
            assert client.execute("SELECT count(*) FROM orbit").fetchone() == (2,)
            client.execute("ROLLBACK")


@pytest.mark.parametrize("content", ["planet", ""])
def test_a_model_whose_table_stores_no_values_of_its_own_is_refused(
    database: LiveDatabase, content: str
) -> None:
    execute(f"CREATE VIRTUAL TABLE notes USING fts5(name, content='{content}')")
    with pytest.raises(DoesNotFit, match="a model has the virtual table notes"):
        database.engine.rehearse_promote(["notes"])


def test_ids_of_deleted_rows_are_not_given_again(database: LiveDatabase) -> None:
    """T32."""
    with database.client() as client:
        client.execute("INSERT INTO moon (id, gen, planet_id) VALUES (900, 1, 10)")
        client.execute("DELETE FROM moon WHERE id = 900")
    staged(database, "mars", "venus")
    database.promote(database.staging, database.undo)
    with database.client() as client:
        client.execute("INSERT INTO moon (gen, planet_id) VALUES (1, 10)")
    assert database.live()["moon"][-1][0] == 901
