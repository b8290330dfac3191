"""A project with more than one database: the one that is named is backed up, restored, reset and
undone; nothing of it goes through another."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.contents import contents, control
from tests.acceptance.every_command import cycle
from tests.services import ENGINES, MakeProject, Project

SETTINGS = "tests.acceptance.two_databases"


def backing_up(archive: Project, *, beside: Project) -> Project:
    """The EDMS whose default database is one project's, and whose `archive` is the other's."""
    variables = {"DJANGO_SETTINGS_MODULE": SETTINGS, "ARCHIVE_URL": archive.env["DATABASE_URL"]}
    return replace(archive, database_url=beside.env["DATABASE_URL"], variables=variables)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_other_database_is_neither_read_nor_written(
    engine: str, make_project: MakeProject, tmp_path: Path
) -> None:
    """P5: the dump of one alias held the rows of another."""
    other, archive = make_project(engine), make_project(engine, demo=True)
    untouched = contents(other), control(other)

    cycle(backing_up(archive, beside=other), archive, tmp_path / "x.tar.zst")

    assert (contents(other), control(other)) == untouched


@pytest.mark.parametrize("engine", ENGINES)
def test_two_aliases_may_name_one_database(
    engine: str, make_project: MakeProject, tmp_path: Path
) -> None:
    """T19."""
    archive = make_project(engine, demo=True)

    cycle(backing_up(archive, beside=archive), archive, tmp_path / "x.tar.zst")


def test_a_merge_goes_into_the_database_that_is_named(
    make_project: MakeProject, tmp_path: Path
) -> None:
    other, archive = make_project("postgres"), make_project("postgres", demo=True)
    project, package = backing_up(archive, beside=other), tmp_path / "x.tar.zst"
    untouched, before = contents(other), contents(archive)
    project.succeed("create_backup", "--output", package)
    remove = 'M["documents.comment"].objects.using("archive").all().delete()'
    project.evaluate(remove)

    project.succeed("restore_from_package", package, "--mode", "merge", "--confirm")

    assert contents(archive).count("documents_comment") == before.count("documents_comment")
    assert contents(other) == untouched
