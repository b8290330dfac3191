"""Event triggers fire for the DDL of a restore: harmful ones refuse it before anything is built."""

from collections.abc import Iterator

import pytest
from django.db import connections

from backup_tasks.errors import DoesNotFit
from tests.integration.engines.live_database import TABLES, LiveDatabase

_FUNCTION = "CREATE FUNCTION fire() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {} END $$"
_LOG = (
    f"CREATE TABLE ddl_log (tag text); {_FUNCTION.format('INSERT INTO ddl_log VALUES (tg_tag);')}"
)
_FORBID = _FUNCTION.format("RAISE 'nobody does that';")
# What is made in live, when it fires, and what the refusal names.
HARMFUL = {
    "it logs each command in a table": (_LOG, "ddl_command_end", "table public.ddl_log"),
    "it logs what is dropped": (_LOG, "sql_drop", "table public.ddl_log"),
    "it logs rewrites": (_LOG, "table_rewrite", "table public.ddl_log"),
    "it forbids one command": (
        _FORBID,
        "ddl_command_start WHEN TAG IN ('CREATE POLICY')",
        "CREATE POLICY is refused: nobody does that",
    ),
    "it forbids to move tables": (
        _FUNCTION.format("IF current_query() LIKE '%SET SCHEMA%' THEN RAISE 'stay'; END IF;"),
        "ddl_command_end",
        "ALTER TABLE is refused: stay",
    ),
    "it grants on live's tables": (
        _FUNCTION.format("GRANT SELECT ON planet TO PUBLIC;"),
        "ddl_command_end WHEN TAG IN ('CREATE TABLE')",
        "planet",
    ),
    "it makes a function in live": (
        _FUNCTION.format(
            "CREATE OR REPLACE FUNCTION public.made() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        ),
        "ddl_command_end WHEN TAG IN ('CREATE INDEX')",
        "function public.made()",
    ),
}
HARMLESS = {
    "it notifies": (_FUNCTION.format("NOTIFY ddl;"), "ddl_command_end"),
    "it knows whose tables they are": (
        "CREATE TABLE ddl_log (tag text);"
        + _FUNCTION.format(
            "IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name = 'public')"
            " THEN INSERT INTO public.ddl_log VALUES (tg_tag); END IF;"
        ),
        "ddl_command_end",
    ),
    "it is disabled": (f"{_FORBID}; SET client_min_messages = error", "ddl_command_start"),
}


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def fired(database: LiveDatabase, case: str) -> Iterator[LiveDatabase]:
    """Live with the event trigger of the case."""
    made, event, *_ = {**HARMFUL, **HARMLESS}[case]
    with database.client() as admin:
        admin.execute(made)
        admin.execute(f"CREATE EVENT TRIGGER fires ON {event} EXECUTE FUNCTION fire()")
        if case == "it is disabled":
            admin.execute("ALTER EVENT TRIGGER fires DISABLE")
        yield database
        admin.execute("DROP EVENT TRIGGER fires")


@pytest.mark.parametrize("case", HARMFUL)
def test_one_that_changes_live_or_forbids_ddl_is_named_before_anything_is_built(
    fired: LiveDatabase, case: str
) -> None:
    before = fired.live()

    with pytest.raises(DoesNotFit) as refusal:
        fired.engine.rehearse_promote(TABLES)

    assert HARMFUL[case][2] in refusal.value.what
    assert refusal.value.obj == "event trigger fires"
    assert "ALTER EVENT TRIGGER … DISABLE" in refusal.value.hint
    assert fired.engine.schemas() == []
    assert fired.live() == before
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'backup_tasks%'")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize("case", HARMLESS)
def test_one_that_changes_nothing_outside_of_staging_stays_and_is_no_obstacle(
    fired: LiveDatabase, case: str
) -> None:
    fired.engine.rehearse_promote(TABLES)

    assert fired.engine.clone(fired.staging, [*TABLES, "probe"]) == []
    fired.load(generation=2, moons=2)
    fired.engine.complete(fired.staging, TABLES)
    fired.promote(fired.staging, fired.undo)

    assert {row[-1] for row in fired.live()["planet"]} == {2}
