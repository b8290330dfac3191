"""Staging and live are told apart whatever stands between, or sets the search path (T22).

Each way is gone through once: staging is built and loaded, swapped with live, and that is undone;
between, live's rows are looked at over a connection of their own, straight to the server.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.backends.signals import connection_created
from pytest_django import DjangoDbBlocker

from backup_tasks.checks.locations import check_staging
from backup_tasks.engines import engine_for
from backup_tasks.engines.base import connection_replaced
from backup_tasks.error_classification import explain
from backup_tasks.errors import Misconfigured
from backup_tasks.steps.snapshot import _restore_refusals
from edms.local.postgres import PostgresServer
from tests.integration.engines.live_database import (
    RUN,
    TABLES,
    LiveDatabase,
    make_live_database,
    run_all,
)
from tests.integration.engines.live_database import server_or_file as project_on
from tests.integration.engines.own_path.base import DatabaseWrapper, EnteringWrapper
from tests.pgbouncer import pgbouncer
from tests.services import as_default_database, given


@pytest.fixture
def make(
    postgres: PostgresServer, tmp_path: Any, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[[], str]]:
    """Call it for the URL of a database of one's own."""
    names: list[str] = []

    def create() -> str:
        names.append(postgres.new_name())
        return postgres.create_database(names[-1])

    with django_db_blocker.unblock():
        yield create
    for name in names:
        postgres.drop_database(name)


@contextmanager
def ground_on(url: str, folder: Any, *, over: str = "", **changes: Any) -> Iterator[LiveDatabase]:
    """Live on the database of the URL; this process reaches it over another one, with changed
    settings."""
    with as_default_database(project_on("postgres", folder, over or url)):
        settings = connections["default"].settings_dict
        settings["OPTIONS"] = {**settings["OPTIONS"], **changes.pop("OPTIONS", {})}
        settings.update(changes)
        database = make_live_database(project_on("postgres", folder, url))
        yield database
        connections["default"].close()
        if connections["default"].settings_dict["OPTIONS"].get("pool"):
            connections["default"].close_pool()  # type: ignore[attr-defined]


def goes_through(database: LiveDatabase) -> None:
    """Build, load, drill, promote, undo."""
    before = database.live()
    database.make_staging(generation=2)
    assert database.live() == before
    assert database.engine.clone(database.engine.schema_name("staging", "drill"), TABLES) == []
    database.engine.drop(database.engine.schema_name("staging", "drill"))
    assert database.live() == before
    with database.engine.at(database.staging), connections["default"].cursor() as cursor:
        cursor.execute("SELECT DISTINCT gen FROM planet")
        assert cursor.fetchall() == [(2,)]
        run_all("UPDATE moon SET gen = 3")
    assert database.live() == before

    database.promote(database.staging, database.undo, database.note)
    after = database.live()
    assert {row[-1] for row in after["planet"]} == {2}
    assert {row[1] for row in after["moon"]} == {3}
    assert [row[1] for row in after["ledger"]] == ["promoted"]

    again = engine_for("default")
    second = again.schema_name("undo", RUN[:-1] + "f")
    again.promote(database.undo, tables=TABLES, apps=["space"], keep=second, record=database.note)
    undone = database.live()
    assert {name: undone[name] for name in TABLES} == {name: before[name] for name in TABLES}
    assert again.discard(second) == again.discard(database.undo) == []
    assert again.discard(database.staging) == []


@pytest.mark.parametrize("ignored", ["options", ""])
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_behind_pgbouncer(make: Callable[[], str], tmp_path: Any, mode: str, ignored: str) -> None:
    url = make()
    for behind in given(pgbouncer(url, mode=mode, ignored=ignored)):
        with ground_on(url, tmp_path, over=behind) as database:
            goes_through(database)


def test_over_djangos_pool(make: Callable[[], str], tmp_path: Any) -> None:
    pytest.importorskip("psycopg_pool")
    with ground_on(make(), tmp_path, OPTIONS={"pool": True}, CONN_MAX_AGE=0) as database:
        goes_through(database)


def test_with_a_handler_that_sets_the_search_path(make: Callable[[], str], tmp_path: Any) -> None:
    def set_path(connection: Any, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET search_path TO public")

    connection_created.connect(set_path)
    try:
        with ground_on(make(), tmp_path) as database:
            goes_through(database)
    finally:
        connection_created.disconnect(set_path)


@pytest.mark.parametrize("way", ["role", "database", "OPTIONS", "role in database"])
def test_with_a_search_path_of_the_projects_own(
    make: Callable[[], str], tmp_path: Any, way: str
) -> None:
    url = make()
    name = url.rpartition("/")[2]
    options = {"options": "-c search_path=app,public"} if way == "OPTIONS" else {}
    with ground_on(url, tmp_path) as plain, plain.client() as admin:
        admin.execute("CREATE SCHEMA app")
        role = {"role": "ROLE postgres", "role in database": f'ROLE postgres IN DATABASE "{name}"'}
        target = role.get(way, f'DATABASE "{name}"')
        if way != "OPTIONS":
            admin.execute(f"ALTER {target} SET search_path = app, public")
    try:
        with ground_on_app(url, tmp_path, options) as database:
            public = ground_rows(database, "public")
            goes_through(database)
            assert ground_rows(database, "public") == public
    finally:
        if way != "OPTIONS":
            with plain.client() as admin:
                admin.execute(f"ALTER {target} RESET search_path")


def test_with_an_empty_schema_before_that_of_the_tables(
    make: Callable[[], str], tmp_path: Any
) -> None:
    """Live is where django_migrations is, not where the next table would be made."""
    url = make()
    path = {"options": "-c search_path=app,public"}
    with ground_on(url, tmp_path) as plain, plain.client() as admin:
        admin.execute("CREATE SCHEMA app")
    with as_default_database(project_on("postgres", tmp_path, url)):
        settings = connections["default"].settings_dict
        settings["OPTIONS"] = {**settings["OPTIONS"], **path}
        database = LiveDatabase(project=plain.project, engine=engine_for("default"))
        goes_through(database)
        assert database.engine.tables_elsewhere([*TABLES, "absent"]) == {}
        with database.client() as client:
            client.execute("ALTER TABLE moon SET SCHEMA app")
        assert database.engine.tables_elsewhere([*TABLES]) == {"moon": "app.moon"}
        connections["default"].close()


@contextmanager
def ground_on_app(url: str, folder: Any, options: dict[str, str]) -> Iterator[LiveDatabase]:
    """Live in the schema `app`; there are tables of the same names in `public`, too."""
    with ground_on(url, folder, OPTIONS=options) as database:
        asked = {**database.__dict__, "engine": engine_for("default")}
        yield InApp(**asked)


class InApp(LiveDatabase):
    """A database whose live is the schema `app`."""

    @contextmanager
    def client(self) -> Iterator[Any]:
        with super().client() as client:
            client.execute("SET search_path = app, public")
            yield client


def ground_rows(database: LiveDatabase, schema: str) -> list[Any]:
    with database.client() as client:
        return [client.execute(f"SELECT * FROM {schema}.{t} ORDER BY 1").fetchall() for t in TABLES]


def test_with_a_backend_that_sets_the_path_before_each_use(
    make: Callable[[], str], tmp_path: Any
) -> None:
    """As django-tenants does."""
    with ground_on(make(), tmp_path) as database:
        connections["default"].close()
        settings = {
            **connections["default"].settings_dict,
            "ENGINE": "tests.integration.engines.own_path",
        }
        connections["default"] = DatabaseWrapper(settings, "default")
        goes_through(LiveDatabase(project=database.project, engine=engine_for("default")))


def test_a_pooler_without_transactions_is_told_by_check(
    make: Callable[[], str], tmp_path: Any
) -> None:
    url = make()
    for behind in given(pgbouncer(url, mode="statement")):
        with as_default_database(project_on("postgres", tmp_path, behind)):
            (told,) = check_staging(databases=["default"])
            with pytest.raises(OperationalError) as refused, engine_for("default").snapshot():
                pytest.fail("a backup has begun")
            connections["default"].close()
    assert told.id == "backup_tasks.W008"
    assert "statement pooling mode" in told.msg
    assert "pool_mode" in str(told.hint)
    error = explain(refused.value)  # what `create_backup` ends with, at once
    assert isinstance(error, Misconfigured)
    assert error.hint == told.hint


def test_a_backend_that_resets_the_path_within_transactions_is_told_by_check_and_by_a_backup(
    make: Callable[[], str], tmp_path: Any
) -> None:
    """By a function: its statement does not name search_path."""
    with ground_on(make(), tmp_path) as database:
        run_all(
            "CREATE FUNCTION enter() RETURNS text LANGUAGE sql"
            " AS 'SELECT set_config(''search_path'', ''public'', false)'"
        )
        settings = {**connections["default"].settings_dict}
        connections["default"].close()
        connections["default"] = EnteringWrapper(settings, "default")

        (told,) = check_staging(databases=["default"])
        (warning,) = _restore_refusals(engine_for("default"), TABLES)

        assert told.id == "backup_tasks.W008"
        assert "is in schema public" in told.msg
        assert "search_path" in str(told.hint)
        assert "is in schema public" in warning
        engine = engine_for("default")
        engine.create(database.staging)
        with pytest.raises(Misconfigured, match="public"), engine.at(database.staging):
            run_all("CREATE TABLE planet (id int)")


@pytest.mark.parametrize(
    ("lacking", "told", "remedy"),
    [
        ("OWNER", "belongs to postgres", "GRANT postgres TO"),
        ("DATABASE", "may not make schemas", "GRANT CREATE ON DATABASE"),
        ("SCHEMA", "may not make tables in the schema public", "GRANT CREATE, USAGE ON SCHEMA"),
        ("MIGRATIONS", "may not write django_migrations", "GRANT SELECT, INSERT, DELETE ON TABLE"),
        ("", "", ""),
    ],
)
def test_a_role_that_could_not_promote_is_told_by_check_and_by_a_backup(
    make: Callable[[], str], tmp_path: Any, lacking: str, told: str, remedy: str
) -> None:
    with ground_on(make(), tmp_path) as database:
        role = f"role_{database.project.database_url.rpartition('/')[2]}"
        with database.client() as admin:
            admin.execute(f'CREATE ROLE "{role}" LOGIN')
            admin.execute("CREATE TABLE documents_tag (id int)")  # a model's, which `check` asks of
            admin.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role}"')
            admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is since version 15
            grants = {
                "DATABASE": "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO %I',"
                f" current_database(), '{role}'); END $$",
                "SCHEMA": f'GRANT CREATE ON SCHEMA public TO "{role}"',
                "MIGRATIONS": f'GRANT INSERT, DELETE ON django_migrations TO "{role}"',
                "OWNER": "".join(
                    f'ALTER TABLE {table} OWNER TO "{role}";'
                    for table in (*TABLES, "probe", "documents_tag")
                ),
            }
            for name, grant in grants.items():
                if name != lacking:
                    admin.execute(grant)
        settings = {**connections["default"].settings_dict, "USER": role}
        limited = type(connections["default"])(settings, "default")
        try:
            with connection_replaced("default", limited):
                found = check_staging(databases=["default"])
                warnings = _restore_refusals(engine_for("default"), TABLES)
                if not lacking:
                    assert (found, warnings) == ([], [])
                    database.make_staging()
                    database.promote(database.staging, database.undo)
            if lacking:
                assert [message.id for message in found] == ["backup_tasks.W008"]
                assert told in found[0].msg
                assert remedy in str(found[0].hint)
                assert told in warnings[0]
                assert remedy in warnings[0]
        finally:
            with database.client() as admin:
                admin.execute(f'REASSIGN OWNED BY "{role}" TO postgres; DROP OWNED BY "{role}"')
                admin.execute(f'DROP ROLE "{role}"')


def test_a_pooler_that_refuses_an_option_of_the_settings_is_not_tried_again(
    make: Callable[[], str], tmp_path: Any
) -> None:
    url = make()
    for behind in given(pgbouncer(url, mode="session")):
        with as_default_database(project_on("postgres", tmp_path, behind)):
            settings = connections["default"].settings_dict
            settings["OPTIONS"] = {"options": "-c statement_timeout=0"}
            with pytest.raises(OperationalError) as refused:
                connections["default"].ensure_connection()
    error = explain(refused.value)
    assert isinstance(error, Misconfigured)
    assert "options" in error.what
    assert "ignore_startup_parameters" in error.hint
