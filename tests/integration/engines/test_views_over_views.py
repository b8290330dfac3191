"""PostgreSQL: a materialized view over a plain view is not built by a swap. It shows the new rows
all the same, or the run says that it does not."""

import psycopg
import pytest

from edms.documents.models import Tag
from tests.integration.rows.transfer import run
from tests.services import Project

OVER = """
    CREATE VIEW tags AS SELECT * FROM documents_tag;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS number FROM tags;
    CREATE MATERIALIZED VIEW of_counted AS SELECT number FROM counted;
    CREATE MATERIALIZED VIEW shares AS SELECT 1 / count(*) AS number FROM tags;
    CREATE MATERIALIZED VIEW unfilled AS SELECT name FROM tags WITH NO DATA
"""
COUNTED = "SELECT c.number, o.number FROM counted c, of_counted o"


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """It has materialized views."""
    name: str = request.param
    return name


def test_it_is_refreshed_after_a_restore_and_an_undo_or_told(on_project: Project) -> None:
    Tag.objects.all().delete()
    package = run("backup").package
    Tag.objects.create(name="since")
    with psycopg.connect(on_project.database_url, autocommit=True) as client:
        client.execute(OVER)
        assert client.execute(COUNTED).fetchall() == [(1, 1)]

        (told,) = run("restore", package=package, safety=False).report["warnings"]

        assert told.startswith("materialized view public.shares still shows the old rows")
        assert "division by zero" in told
        assert client.execute(COUNTED).fetchall() == [(0, 0)]
        assert run("undo").report["warnings"] == []
        assert client.execute(COUNTED).fetchall() == [(1, 1)]
        unfilled = "SELECT relispopulated FROM pg_class WHERE relname = 'unfilled'"
        assert client.execute(unfilled).fetchall() == [(False,)]
