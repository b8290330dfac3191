"""A primary key that a row once had is never given again."""

from pathlib import Path

import psycopg
import pytest

from edms.local.mariadb import connected
from tests.services import EVERY_ENGINE, MakeProject, Project

TAG = 'M["documents.tag"].objects'
MERGE = ("--mode", "merge", "--on-conflict", "package", "--no-safety-backup")


@pytest.fixture(params=EVERY_ENGINE)
def project(request: pytest.FixtureRequest, make_project: MakeProject) -> Project:
    made: Project = make_project(request.param)
    return made


def given_and_gone(project: Project, *names: str) -> int:
    """Make tags and delete them; return the highest primary key that one had."""
    for name in names:
        key = int(project.evaluate(f'{TAG}.create(name="{name}").pk'))
        project.evaluate(f"{TAG}.filter(pk={key}).delete()[0]")
    return key


def test_the_keys_of_deleted_rows_are_not_given_again_after_a_restore(
    project: Project, make_project: MakeProject, tmp_path: Path
) -> None:
    """Neither those of before the backup, also in another database, nor those given since."""
    package = tmp_path / "x.tar.zst"
    gone = given_and_gone(project, "a", "b", "c")

    project.succeed("create_backup", "--output", package)
    project.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")
    after = given_and_gone(project, "d", "e")
    project.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")

    last = given_and_gone(project, "f")
    assert gone < after < last
    project.succeed("undo_restore", "--confirm")
    undone = given_and_gone(project, "g")
    assert undone > last
    project.succeed("restore_from_package", package, *MERGE, "--confirm")
    assert given_and_gone(project, "i") > undone
    other = make_project(project.engine)
    other.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")
    assert given_and_gone(other, "h") > gone


# Sequences that no migration made, which columns draw from.
SEQUENCES = """
CREATE SEQUENCE free INCREMENT BY 10 CACHE 5;
ALTER TABLE documents_sensitivitylabel ALTER rank SET DEFAULT nextval('free');
CREATE SEQUENCE sinking INCREMENT BY -2 CYCLE MINVALUE -1000 MAXVALUE 1000 START WITH 100;
ALTER TABLE workflows_documentstate ALTER position SET DEFAULT nextval('sinking');
CREATE SEQUENCE owned INCREMENT BY -1 MINVALUE -500 MAXVALUE -1;
ALTER TABLE documents_numberseries ALTER last_number SET DEFAULT nextval('owned');
ALTER SEQUENCE owned OWNED BY documents_numberseries.last_number;
CREATE SEQUENCE unused START WITH 7000
"""
ENDS = """
SELECT (SELECT max(rank) FROM documents_sensitivitylabel),
       (SELECT min(position) FROM workflows_documentstate)
"""
NEXT = """
SELECT nextval('free'), nextval('sinking'),
       nextval(pg_get_serial_sequence('documents_numberseries', 'last_number')), nextval('unused')
"""


def test_sequences_of_postgresql_give_no_number_twice_whoever_owns_them(
    make_project: MakeProject, tmp_path: Path
) -> None:
    project, package = make_project("postgres"), tmp_path / "x.tar.zst"
    with psycopg.connect(project.database_url, autocommit=True) as client:
        client.execute(SEQUENCES)
        for _ in range(3):
            client.execute(NEXT)
        client.execute("SELECT setval('unused', 7000, false)")
        project.succeed("create_backup", "--output", package)
        free, sunk, depth, _ = (client.execute(NEXT).fetchone()) or ()

        project.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")

        again = client.execute(NEXT).fetchone() or ()
        assert again[0] > free, "live's at promote"
        assert again[1] < sunk
        assert again[2] < depth
        for command in (("undo_restore",), ("restore_from_package", package, *MERGE)):
            project.succeed(*command, "--confirm")
            before, again = again, client.execute(NEXT).fetchone() or ()
            assert again[0] > before[0], command
            assert again[1] < before[1], command
            assert again[2] < before[2], command
            assert again[3] > before[3], command
    other = make_project("postgres")
    with psycopg.connect(other.database_url, autocommit=True) as client:
        client.execute(SEQUENCES)

        other.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")

        elsewhere = client.execute(NEXT).fetchone() or ()
    # As far as they had counted when the package was made, cached blocks included.
    assert elsewhere[0] >= free
    assert elsewhere[1] <= sunk
    assert elsewhere[2:] == (depth, 7000)


def test_a_sequence_that_is_behind_its_rows_goes_on_after_them(make_project: MakeProject) -> None:
    project = make_project("postgres")
    with psycopg.connect(project.database_url, autocommit=True) as client:
        client.execute(SEQUENCES)
        client.execute("SELECT setval('free', 1, false), setval('sinking', 1000, false)")
        client.execute("UPDATE documents_sensitivitylabel SET rank = rank + 500")
        client.execute("UPDATE workflows_documentstate SET position = 44 + position")
        project.succeed("create_backup")

        project.succeed("restore_from_package", "--confirm", "--no-safety-backup")

        highest, lowest = client.execute(ENDS).fetchone() or ()
        assert (client.execute(NEXT).fetchone() or ())[:2] == (highest + 10, lowest - 2)


def test_sequences_of_mariadb_give_no_number_twice(
    make_project: MakeProject, tmp_path: Path
) -> None:
    package, given = tmp_path / "x.tar.zst", "SELECT nextval(free), nextval(sinking)"
    make = (
        "CREATE SEQUENCE free INCREMENT BY 10 CACHE 5",
        "CREATE SEQUENCE sinking INCREMENT BY -2 MINVALUE -1000 MAXVALUE 100 CACHE 3 CYCLE",
        "ALTER TABLE documents_sensitivitylabel ALTER `rank` SET DEFAULT nextval(free)",
        "CREATE SEQUENCE small MAXVALUE 1000",
        "ALTER TABLE workflows_documentstate ALTER position SET DEFAULT nextval(small)",
        "CREATE SEQUENCE named",  # a text that draws from it
        "ALTER TABLE documents_tag ALTER name SET DEFAULT nextval(named)",
    )
    project, other = make_project("mariadb"), make_project("mariadb")
    with connected(project.database_url) as cursor:
        for statement in (*make, given, given):
            cursor.execute(statement)
        cursor.execute("UPDATE documents_sensitivitylabel SET `rank` = `rank` + 900")
        cursor.execute("UPDATE workflows_documentstate SET position = 2000 + position")
        project.succeed("create_backup", "--output", package)
        cursor.execute(given)
        ((free, sunk),) = cursor.fetchall()
        project.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")
        cursor.execute(given)
        ((again, deeper),) = cursor.fetchall()
        assert again > 900 > free
        assert deeper < sunk
        cursor.execute("SELECT nextval(small), nextval(named)")
        # Rows that a sequence can't have numbered say nothing of what it gave.
        assert cursor.fetchone() == (1, 1)
        for command in (("undo_restore",), ("restore_from_package", package, *MERGE)):
            project.succeed(*command, "--confirm")
            before = (again, deeper)
            cursor.execute(given)
            ((again, deeper),) = cursor.fetchall()
            assert again > before[0], command
            assert deeper < before[1], command
    with connected(other.database_url) as cursor:
        for statement in make:
            cursor.execute(statement)
        other.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")
        cursor.execute(given)
        ((elsewhere, deep),) = cursor.fetchall()
    assert elsewhere > 900
    assert deep <= sunk
