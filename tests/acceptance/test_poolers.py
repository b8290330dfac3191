"""Behind PgBouncer in its least favourable form: transactions over any connection, options ignored
(T22)."""

from dataclasses import replace

import psycopg
import pytest

from tests.pgbouncer import pgbouncer
from tests.services import MakeProject, given

TITLES = "SELECT document_number, title FROM documents_document ORDER BY 1"


@pytest.mark.slow
def test_a_drill_a_restore_and_an_undo_do_what_they_say(make_project: MakeProject) -> None:
    project = make_project("postgres", demo=True)
    for url in given(pgbouncer(project.database_url, mode="transaction", ignored="options")):
        pooled = replace(project, database_url=url)
        with psycopg.connect(project.database_url, autocommit=True) as client:
            backed_up = client.execute(TITLES).fetchall()
            package = pooled.json("create_backup")
            assert (package["ok"], package["warnings"]) == (True, [])
            client.execute("UPDATE documents_document SET title = 'written since'")
            since = client.execute(TITLES).fetchall()

            drill = pooled.json("drill_restore")
            assert drill["ok"], drill["errors"]
            assert client.execute(TITLES).fetchall() == since

            restore = pooled.json("restore_from_package", package["package"], "--confirm")
            assert restore["ok"], restore["errors"]
            assert client.execute(TITLES).fetchall() == backed_up

            undone = pooled.json("undo_restore", "--confirm")
            assert undone["ok"], undone["errors"]
            assert client.execute(TITLES).fetchall() == since
