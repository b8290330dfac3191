"""What PostgreSQL can't carry over is told by every run that would need it, before anything is
built: by the backup's last step, by drill, restore and reset."""

import psycopg
import pytest

from backup_tasks.engines import engine_for
from tests.integration.rows.transfer import run
from tests.integration.standing.conftest import fails
from tests.services import Project

FUNCTIONS = """
    CREATE FUNCTION all_tags() RETURNS SETOF documents_tag LANGUAGE sql AS 'TABLE documents_tag';
    CREATE FUNCTION label_of(documents_tag) RETURNS text LANGUAGE sql AS 'SELECT $1.name';
    CREATE TABLE old_tags () INHERITS (documents_tag)
"""
EVENTS = """
    CREATE TABLE ddl_log (tag text);
    CREATE FUNCTION log() RETURNS event_trigger LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO public.ddl_log VALUES (tg_tag); END $$;
    CREATE EVENT TRIGGER logs ON ddl_command_end EXECUTE FUNCTION log()
"""
# What somebody made, and what each refusal names, with the remedy.
OBJECTS = {
    "functions of rows, and inheritance": (
        FUNCTIONS,
        ("function all_tags()", "function label_of(documents_tag)", "table documents_tag: it take"),
        "make it anew over the new tables",
    ),
    "a column that draws from a sequence of live's": (
        """
        CREATE SEQUENCE tickets;
        ALTER TABLE documents_tag ADD ticket bigint DEFAULT nextval('tickets')
        """,
        ("column ticket of table documents_tag: no model fills it", "sequence tickets"),
        'ALTER SEQUENCE tickets OWNED BY "documents_tag"."ticket"',
    ),
    "an event trigger": (EVENTS, ("they would change table public.ddl_log",), "DISABLE"),
}
KINDS = ("backup", "drill", "restore", "reinit")


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """It has the objects."""
    name: str = request.param
    return name


@pytest.mark.parametrize("made", OBJECTS)
def test_each_run_names_it_before_anything_is_built(on_project: Project, made: str) -> None:
    package = run("backup").package
    statements, named, remedy = OBJECTS[made]
    with psycopg.connect(on_project.database_url, autocommit=True) as admin:
        admin.execute(statements)
        for kind in KINDS:
            params = {"package": package} if kind in ("drill", "restore") else {}

            failed = fails(kind, **params)

            assert failed.error
            assert failed.error["exit_code"] == 8
            for name in named:
                assert name in failed.error["what"], kind
            assert remedy in failed.error["hint"]
            assert engine_for("default").schemas() == []
            states = dict(failed.steps.values_list("name", "state"))
            assert states["fit" if kind == "backup" else "reinit"] == "failed"
        admin.execute("DROP EVENT TRIGGER IF EXISTS logs")
