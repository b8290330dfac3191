"""PostgreSQL: tables are built by the migrations, and lose what these don't make, only if asked."""

import psycopg

from tests.acceptance.contents import contents
from tests.acceptance.every_command import assert_equal
from tests.integration.engines.every_object import pg_dump
from tests.services import MakeProject

BY_HAND = """
CREATE INDEX by_hand ON documents_tag (lower(name));
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER tag_stays BEFORE DELETE ON documents_tag FOR EACH ROW EXECUTE FUNCTION stay();
COMMENT ON TABLE documents_tag IS 'by hand';
GRANT SELECT ON documents_tag TO PUBLIC
"""
LABEL = """
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel SELECT 'documents_tag'::regclass, 'pg_class'::regclass, 0, 'selinux', 's0'
"""
LOST = (
    "index by_hand of table documents_tag",
    "trigger tag_stays of table documents_tag",
    "comment TABLE documents_tag of table documents_tag",
    "security label selinux TABLE documents_tag of table documents_tag",
)


def test_what_no_migration_makes_is_lost_only_with_rebuild_and_named_before(
    make_project: MakeProject,
) -> None:
    project = make_project("postgres", demo=True)
    with psycopg.connect(project.database_url, autocommit=True) as admin:
        admin.execute(BY_HAND)
        assert project.json("create_backup")["ok"]
        admin.execute(LABEL)  # nobody can make it again: there is no such provider
    before, found = contents(project), pg_dump(project)
    restore = ("restore_from_package", "--confirm", "--no-safety-backup")

    (error,) = project.json(*restore)["errors"]
    assert "selinux" in error["what"]
    assert error["exit_code"] == 8
    assert pg_dump(project) == found

    drill = project.json("drill_restore", "--rebuild")
    assert drill["ok"], drill["errors"]
    (told,) = (line for line in drill["warnings"] if "no migration makes" in line)
    for name in LOST:
        assert name in told
    assert pg_dump(project) == found
    assert_equal(contents(project), before)

    restored = project.json(*restore, "--rebuild")
    assert restored["ok"]
    assert told in restored["warnings"]
    after = pg_dump(project)
    assert "by_hand" not in after
    assert "TRIGGER tag_stays" not in after
    assert "GRANT SELECT ON TABLE public.documents_tag TO PUBLIC" in after, "grants are live's"
    assert contents(project).tables == before.tables

    project.succeed("undo_restore", "--confirm")
    assert pg_dump(project) == found
    assert_equal(contents(project), before)
