"""PostgreSQL: the commands keep partitions, and all that administrators added to live's tables."""

import psycopg
import pytest

from tests.acceptance.contents import contents
from tests.acceptance.every_command import assert_equal
from tests.integration.engines.every_object import but_for_arrays, pg_dump
from tests.services import MakeProject, Project

PARTITIONED = """
ALTER TABLE audit_auditentry RENAME TO before;
CREATE TABLE audit_auditentry (LIKE before INCLUDING DEFAULTS INCLUDING IDENTITY,
    PRIMARY KEY (id, at),
    FOREIGN KEY (actor_id) REFERENCES users_user DEFERRABLE INITIALLY DEFERRED)
    PARTITION BY RANGE (at);
CREATE TABLE audit_2026 PARTITION OF audit_auditentry
    FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY HASH (id);
CREATE TABLE audit_2026_0 PARTITION OF audit_2026 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE audit_2026_1 PARTITION OF audit_2026 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE audit_rest PARTITION OF audit_auditentry DEFAULT;
CREATE INDEX audit_of_changes ON audit_auditentry (action) WHERE action <> 'changed';
INSERT INTO audit_auditentry SELECT * FROM before;
UPDATE audit_auditentry SET at = '2020-06-06' WHERE id % 3 = 0;
DROP TABLE before;
SELECT setval(pg_get_serial_sequence('audit_auditentry', 'id'), max(id)) FROM audit_auditentry
"""

ADDED = """
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER marked AFTER INSERT ON documents_document FOR EACH ROW EXECUTE FUNCTION mark();
CREATE TRIGGER off BEFORE UPDATE ON documents_document FOR EACH ROW EXECUTE FUNCTION mark();
ALTER TABLE documents_document DISABLE TRIGGER off, ENABLE ALWAYS TRIGGER marked,
    ALTER title SET STATISTICS 321, ALTER title SET STORAGE EXTERNAL, ENABLE ROW LEVEL SECURITY,
    ADD CONSTRAINT titled CHECK (title <> 'none') NOT VALID, REPLICA IDENTITY FULL;
ALTER TABLE documents_document SET (fillfactor = 88);
CREATE POLICY seen ON documents_document FOR SELECT USING (title <> 'hidden');
CREATE RULE told AS ON INSERT TO documents_tag DO ALSO NOTIFY tags;
CREATE INDEX by_title ON documents_document (lower(title)) WITH (fillfactor = 66);
CLUSTER documents_document USING by_title;
CREATE STATISTICS spread ON title, id FROM documents_document;
COMMENT ON INDEX by_title IS 'of an administrator';
COMMENT ON COLUMN documents_document.title IS 'a title';
GRANT SELECT (id, title) ON documents_document TO PUBLIC;
GRANT USAGE ON SEQUENCE documents_document_id_seq TO PUBLIC;
CREATE VIEW titles AS SELECT id, title FROM documents_document;
CREATE MATERIALIZED VIEW stored AS SELECT id, title FROM documents_document WITH DATA;
CREATE UNIQUE INDEX stored_id ON stored (id); GRANT SELECT ON stored TO PUBLIC;
CREATE FUNCTION documents() RETURNS bigint
    BEGIN ATOMIC SELECT count(*) FROM documents_document; END;
CREATE SCHEMA reports; CREATE VIEW reports.audit AS SELECT * FROM audit_auditentry;
CREATE TABLE reports.note (document bigint REFERENCES documents_document ON DELETE SET NULL);
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NOTIFY ddl; END';
CREATE EVENT TRIGGER told ON ddl_command_end EXECUTE FUNCTION tell();
CREATE PUBLICATION sky FOR TABLE documents_document WHERE (id > 0), TABLE audit_rest
"""


@pytest.fixture
def partitioned(make_project: MakeProject) -> Project:
    project = make_project("postgres", demo=True)
    with psycopg.connect(project.database_url, autocommit=True) as admin:
        admin.execute(PARTITIONED)
    return project


def test_every_command_keeps_rows_and_structure(partitioned: Project) -> None:
    with psycopg.connect(partitioned.database_url, autocommit=True) as admin:
        admin.execute(ADDED)
    before, structure = contents(partitioned), pg_dump(partitioned)
    assert before.count("audit_2026_0") > 0 < before.count("audit_rest")
    backup = partitioned.json("create_backup")
    assert backup["ok"]
    refused = [line for line in backup["warnings"] if "refused" in line]
    assert [line for line in refused if "--republish" not in line] == []
    with psycopg.connect(partitioned.database_url, autocommit=True) as admin:
        admin.execute("DELETE FROM audit_auditentry WHERE id % 2 = 0")
    later = contents(partitioned)

    partitioned.succeed("drill_restore")
    assert_equal(contents(partitioned), later)
    for command, expected in (
        (("restore_from_package", "--confirm", "--no-safety-backup", "--republish"), before),
        (("undo_restore", "--confirm", "--republish"), later),
        (
            ("restore_from_package", "--mode", "merge", "--on-conflict", "package", "--confirm"),
            before,
        ),
    ):
        partitioned.succeed(*command)
        assert_equal(contents(partitioned), expected)
        assert but_for_arrays(pg_dump(partitioned)) == but_for_arrays(structure), command


def test_rows_that_no_partition_of_live_takes_are_told_before_anything_changes(
    partitioned: Project,
) -> None:
    partitioned.succeed("create_backup")
    with psycopg.connect(partitioned.database_url, autocommit=True) as admin:
        admin.execute("DROP TABLE audit_rest")
    before = contents(partitioned)

    answer = partitioned.json("restore_from_package", "--confirm", "--no-safety-backup")

    (error,) = answer["errors"]
    assert "live has no partition for a row" in error["what"]
    assert "DEFAULT partition" in error["hint"]
    assert error["exit_code"] == 8
    assert_equal(contents(partitioned), before)
