"""What changes in the structure of live's tables after staging was made, or after a promote, is not
lost silently: the promote or undo is refused by name before anything changes (PostgreSQL)."""

import pytest
from django.db import connection, connections

from backup_tasks.engines.postgresql import recorded_structure, swap
from backup_tasks.errors import DoesNotFit
from edms.documents.models import Tag
from tests.integration.engines.live_database import TABLES, LiveDatabase, generations
from tests.integration.rows.transfer import run
from tests.services import Project

AGAIN = "undo-20261122T223400-fghij"


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other engines do not compare."""
    name: str = request.param
    return name


CHANGED = {
    "an index": ("CREATE INDEX by_gen ON moon (gen)", "moon: index by_gen was added"),
    "a column": ("ALTER TABLE planet ADD mass int", "planet: column mass was added"),
    "a trigger": (
        """CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
        CREATE TRIGGER looks BEFORE INSERT ON moon FOR EACH ROW EXECUTE FUNCTION look()""",
        "moon: trigger looks was added",
    ),
    "a grant on a column": (
        "GRANT SELECT (name) ON planet TO pg_monitor",
        "planet: privileges planet.name was added",
    ),
    "a default": (
        "ALTER TABLE moon ALTER gen SET DEFAULT 7",
        "moon: column gen was changed",
    ),
    "an index that was dropped": (
        "ALTER TABLE planet DROP CONSTRAINT planet_name_key",
        "planet: constraint planet_name_key was removed",
    ),
}


def change(database: LiveDatabase, statements: str) -> None:
    with database.client() as client:
        client.execute(statements)


@pytest.mark.parametrize("made", ["migrated", "cloned"])
@pytest.mark.parametrize("what", CHANGED)
def test_a_promote_refuses_what_has_changed_since_staging_was_made(
    database: LiveDatabase, what: str, made: str
) -> None:
    if made == "cloned":
        assert database.engine.clone(database.staging, TABLES) == []
        database.load(generation=2, moons=3)
    else:
        database.make_staging()
    statements, told = CHANGED[what]
    change(database, statements)
    before, structure = database.live(), database.structure()

    with pytest.raises(DoesNotFit) as refused:
        database.promote(database.staging, database.undo)

    assert told in refused.value.what
    assert database.live() == before
    assert database.structure() == structure
    assert database.undo not in database.engine.schemas()


def test_what_is_changed_between_the_last_look_and_the_lock_is_found_under_the_lock(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has changed then: the swap is rolled back with the ledger's record of it."""
    database.make_staging()
    lock = swap._lock

    def change_first(*args: object) -> None:
        change(database, "CREATE INDEX by_gen ON moon (gen); GRANT SELECT ON moon TO pg_monitor")
        lock(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(swap, "_lock", change_first)
    with pytest.raises(DoesNotFit) as refused:
        database.promote(database.staging, database.undo, database.note)

    assert "moon: index by_gen was added" in refused.value.what
    assert "moon: privileges moon was added" in refused.value.what
    assert generations(database) == {1}
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger")
        assert cursor.fetchone() == (0,)


def test_a_clone_is_completed_by_what_was_added_and_can_be_promoted(
    database: LiveDatabase,
) -> None:
    database.engine.clone(database.staging, TABLES)
    database.load(generation=2, moons=3)
    change(database, "CREATE INDEX by_gen ON moon (gen)")
    structure = database.structure()

    database.engine.complete(database.staging, TABLES)
    assert database.engine.differences(database.staging, TABLES) == []
    database.promote(database.staging, database.undo)

    assert generations(database) == {2}
    assert database.structure() == structure


@pytest.mark.parametrize("what", CHANGED)
def test_an_undo_tells_what_it_would_take_away_and_goes_on_when_it_is_accepted(
    database: LiveDatabase, what: str
) -> None:
    before = database.structure()
    database.make_staging()
    database.promote(database.staging, database.undo)
    assert database.engine.structure_changes(database.undo, TABLES) == []
    statements, told = CHANGED[what]
    change(database, statements)
    again = database.engine.schema_name("undo", AGAIN)

    assert told in database.engine.structure_changes(database.undo, TABLES)
    with pytest.raises(DoesNotFit) as refused:
        database.promote(database.undo, again)
    assert told in refused.value.what
    assert database.undo in database.engine.schemas()
    assert again not in database.engine.schemas()

    database.engine.accept_structure(database.undo)
    database.promote(database.undo, again)
    assert generations(database) == {1}
    if what != "a grant on a column":
        assert database.structure() == before


def test_an_undo_carries_views_and_grants_of_tables_and_needs_no_acceptance(
    database: LiveDatabase,
) -> None:
    database.make_staging()
    database.promote(database.staging, database.undo)
    change(
        database,
        "CREATE VIEW seen AS SELECT name, gen FROM planet;"
        "CREATE MATERIALIZED VIEW kept AS SELECT name, gen FROM planet;"
        "GRANT SELECT ON planet TO pg_monitor; CREATE STATISTICS spread ON id, gen FROM moon",
    )

    assert database.engine.structure_changes(database.undo, TABLES) == []
    database.promote(database.undo, database.engine.schema_name("undo", AGAIN))

    with database.client() as client:
        for view in ("seen", "kept"):
            assert client.execute(f"SELECT DISTINCT gen FROM {view}").fetchall() == [(1,)]
        granted = "SELECT has_table_privilege('pg_monitor', 'planet', 'SELECT')"
        assert client.execute(granted).fetchall() == [(True,)]


def test_a_grant_that_was_revoked_is_told_since_the_undo_would_give_it_back(
    database: LiveDatabase,
) -> None:
    change(database, "GRANT SELECT ON planet TO pg_monitor")
    database.make_staging()
    database.promote(database.staging, database.undo)
    change(database, "REVOKE SELECT ON planet FROM pg_monitor")
    told = database.engine.structure_changes(database.undo, TABLES)
    assert told == ["planet: privileges planet was removed"]


def test_an_undo_schema_of_an_earlier_version_has_no_record_and_is_promoted(
    database: LiveDatabase,
) -> None:
    database.make_staging()
    database.promote(database.staging, database.undo)
    database.engine.accept_structure(database.undo)
    change(database, "CREATE INDEX by_gen ON moon (gen)")

    assert database.engine.structure_changes(database.undo, TABLES) == []
    database.promote(database.undo, database.engine.schema_name("undo", AGAIN))

    assert generations(database) == {1}


def test_the_undo_of_a_restore_is_refused_until_it_is_told_to_go_on(on_project: Project) -> None:
    package = run("backup").package
    Tag.objects.create(name="since")
    restore = run("restore", package=package, safety=False)
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX by_hand ON documents_tag (name)")

    with pytest.raises(DoesNotFit) as refused:
        run("undo")
    assert "documents_tag: index by_hand was added" in refused.value.what
    assert restore.pk in refused.value.what
    assert "--accept-lost-structure" in refused.value.hint
    assert not Tag.objects.filter(name="since").exists()

    (warning,) = run("undo", accept_lost_structure=True).report["warnings"]
    assert "index by_hand" in warning
    assert Tag.objects.filter(name="since").exists()


def test_a_change_is_noticed_also_if_it_was_not_recorded_how_the_tables_were_made(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died right after the commit; or somebody was faster than it."""
    monkeypatch.setattr(recorded_structure, "record_marked", lambda *_: None)
    database.make_staging()
    database.promote(database.staging, database.undo)
    change(database, "ANALYZE")
    change(database, "VACUUM")
    assert database.engine.structure_changes(database.undo, TABLES) == []

    change(database, "CREATE INDEX by_gen ON moon (gen)")

    (told,) = database.engine.structure_changes(database.undo, TABLES)
    assert "not recorded" in told


def test_maintenance_is_no_change(database: LiveDatabase) -> None:
    database.make_staging()
    database.promote(database.staging, database.undo)
    change(database, "ANALYZE")
    change(database, "VACUUM FULL")
    change(database, "REINDEX TABLE moon")
    assert database.engine.structure_changes(database.undo, TABLES) == []
