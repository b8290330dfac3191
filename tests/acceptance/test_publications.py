"""PostgreSQL: where tables are published, nothing replaces them unless it is asked for."""

import psycopg

from tests.acceptance.contents import contents
from tests.acceptance.every_command import assert_equal
from tests.services import MakeProject

PUBLISHED = """
    SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = 'sky'
"""


def test_restore_and_undo_are_refused_until_they_are_asked_to_go_on(
    make_project: MakeProject,
) -> None:
    project = make_project("postgres", demo=True)
    with psycopg.connect(project.database_url, autocommit=True) as admin:
        admin.execute("CREATE PUBLICATION sky FOR TABLE documents_tag")
        warnings = project.json("create_backup")["warnings"]
        assert any("a restore would be refused here" in line and "sky" in line for line in warnings)
        before = contents(project)
        project.succeed("drill_restore")

        for command in (
            ("restore_from_package", "--confirm", "--no-safety-backup"),
            ("undo_restore", "--confirm"),
        ):
            answer = project.json(*command)
            (error,) = answer["errors"]
            assert "sky" in error["what"], command
            assert "--republish" in error["hint"]
            assert error["exit_code"] == 8
            assert_equal(contents(project), before)

            answer = project.json(*command, "--republish")
            assert answer["ok"], command
            assert any("CREATE SUBSCRIPTION again" in line for line in answer["warnings"])
            assert admin.execute(PUBLISHED).fetchall() == [("public.documents_tag",)]
            assert_equal(contents(project), before)
