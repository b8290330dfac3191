"""PostgreSQL: a model whose table is partitioned is backed up, restored, undone, merged."""

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
CREATE INDEX audit_by_action ON audit_auditentry (action) WHERE action <> 'changed';
INSERT INTO audit_auditentry SELECT * FROM before;
UPDATE audit_auditentry SET at = '2020-06-06' WHERE id % 3 = 0;
DROP TABLE before;
SELECT setval(pg_get_serial_sequence('audit_auditentry', 'id'), max(id)) FROM audit_auditentry
"""


@pytest.fixture
def partitioned(make_project: MakeProject) -> Project:
    project = make_project("postgres", demo=True)
    with psycopg.connect(project.database_url, autocommit=True) as admin:
        admin.execute(PARTITIONED)
    return project


def test_every_command_keeps_rows_and_partitions(partitioned: Project) -> None:
    before, structure = contents(partitioned), pg_dump(partitioned)
    assert before.count("audit_2026_0") > 0 < before.count("audit_rest")
    backup = partitioned.json("create_backup")
    assert backup["ok"]
    assert not [line for line in backup["warnings"] if "refused" in line]
    with psycopg.connect(partitioned.database_url, autocommit=True) as admin:
        admin.execute("DELETE FROM audit_auditentry WHERE id % 2 = 0")
    later = contents(partitioned)

    partitioned.succeed("drill_restore")
    assert_equal(contents(partitioned), later)
    for command, expected in (
        (("restore_from_package", "--confirm", "--no-safety-backup"), before),
        (("undo_restore", "--confirm"), later),
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
